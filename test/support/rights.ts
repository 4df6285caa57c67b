import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';

/** What one thread of a process may do, as /proc tells it. */
export interface ThreadRights {
  thread: number;
  uids: number[];
  gids: number[];
  groups: number[];
  effective: bigint;
  permitted: bigint;
  inheritable: bigint;
  bounding: bigint;
  ambient: bigint;
  noNewPrivileges: boolean;
}

/** Of all threads of the process `pid`, the main thread first. */
export function rightsOf(pid: number): ThreadRights[] {
  const threads = readdirSync(`/proc/${pid}/task`).map(Number);
  return threads.sort((a, b) => a - b).map((thread) => rightsOfThread(pid, thread));
}

function rightsOfThread(pid: number, thread: number): ThreadRights {
  const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1');
  const words = (name: string) => {
    const [, text = ''] = new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status) ?? [];
    return text.trim() === '' ? [] : text.trim().split(/\s+/);
  };
  const set = (name: string) => BigInt(`0x${words(name)[0]}`);
  return {
    thread,
    uids: words('Uid').map(Number),
    gids: words('Gid').map(Number),
    groups: words('Groups').map(Number),
    effective: set('CapEff'),
    permitted: set('CapPrm'),
    inheritable: set('CapInh'),
    bounding: set('CapBnd'),
    ambient: set('CapAmb'),
    noNewPrivileges: words('NoNewPrivs')[0] === '1',
  };
}

/** None of these threads is root's, has a capability, or can get one by starting a program. */
export function assertWithoutRights(threads: readonly ThreadRights[]): void {
  for (const { thread, uids, gids, groups, ...rights } of threads) {
    assert.ok(
      ![...uids, ...gids, ...groups].includes(0),
      `thread ${thread} is ${uids} of ${gids}, ${groups}`,
    );
    assertWithoutCapabilities(thread, rights);
  }
}

export function assertWithoutCapabilities(
  thread: number,
  {
    effective,
    permitted,
    inheritable,
    ambient,
    noNewPrivileges,
  }: Omit<ThreadRights, 'thread' | 'uids' | 'gids' | 'groups'>,
): void {
  assert.deepEqual(
    { thread, effective, permitted, inheritable, ambient, noNewPrivileges },
    { thread, effective: 0n, permitted: 0n, inheritable: 0n, ambient: 0n, noNewPrivileges: true },
  );
}
