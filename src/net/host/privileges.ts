/**
 * Giving up root's rights once the sockets are open (capabilities(7), credentials(7)). A user and its groups belong to the process: libc
 * changes them in all threads. Capabilities belong to a thread, and a thread can only give up its own: this module reaches the thread
 * that calls it and those of libuv's pool; a worker thread calls `shedCapabilities` itself; the threads of V8 and of Node's inspector,
 * which run no code of mytape's, keep theirs unless the user changes, which clears those of all threads.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { MytapeError } from '../../errors.ts';
import { addressOf, check, koffi } from '../libc.ts';

/** A user of this host. */
export interface Account {
  uid: number;
  /** Its primary group. */
  gid: number;
  /** Undefined: the system knows the number only. */
  name: string | undefined;
}

/** Of linux/prctl.h. */
const PR_SET_DUMPABLE = 4;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
/** The kernel refuses a number beyond its last capability: 40 in Linux 6. */
const MOST_CAPABILITIES = 64;

/** capset(2): a struct of version and pid (0: this thread), and two of effective, permitted and inheritable. */
const CAPABILITY_VERSION_3 = 0x2008_0522;
const NO_CAPABILITIES = new Uint32Array(6);
/**
 * Kept for ever: koffi's asynchronous calls hold on to no argument, and the kernel writes into a header whose version it does not know. One
 * that was collected before its call began so had the heap damaged.
 */
const THIS_THREAD = Uint32Array.of(CAPABILITY_VERSION_3, 0);

/** seccomp(2), by number: libc has no function for it. All newer architectures share one table. */
const SYS_SECCOMP = process.arch === 'x64' ? 317 : 277;
const SECCOMP_SET_MODE_FILTER = 1;
const TSYNC_AND_SPEC_ALLOW = 1 | 4;
/** BPF_RET with SECCOMP_RET_ALLOW: a filter that lets everything pass. */
const ALLOW_ALL = Uint32Array.of(0x06, 0x7fff_0000);

/** struct passwd: name 0, uid 16, gid 20; the same in glibc and musl. */
const PW_UID = 16;
const PW_GID = 20;

/** Libuv's. */
const DEFAULT_POOL_THREADS = 4;
const MOST_POOL_ROUNDS = 200;

/** Node has it, and its types don't. */
type WithInitgroups = typeof process & { initgroups(user: string, group: number): void };

interface Calls {
  prctl(option: number, a: number, b: number, c: number, d: number): number;
  capset: {
    (header: Uint32Array, data: Uint32Array): number;
    async(header: Uint32Array, data: Uint32Array, done: (error: Error | null, result: number) => void): void;
  };
  syscall(number: number, a: number, b: number, c: ArrayBufferView): number;
  getpwnam(name: string): bigint | null;
  getpwuid(uid: number): bigint | null;
}

let loaded: Calls | undefined;

function calls(): Calls {
  if (loaded !== undefined) return loaded;
  const library = koffi().load(null);
  loaded = {
    prctl: library.func('int prctl(int option, uint64_t a, uint64_t b, uint64_t c, uint64_t d)'),
    capset: library.func('int capset(const void *header, const void *data)') as unknown as Calls['capset'],
    syscall: library.func('int64_t syscall(int64_t number, uint64_t a, uint64_t b, const void *c)'),
    getpwnam: library.func('void *getpwnam(const char *name)'),
    getpwuid: library.func('void *getpwuid(uint32_t uid)'),
  };
  return loaded;
}

/** Whether this module can work here: on Linux, where koffi has a build for the machine. */
export function canDropPrivileges(): boolean {
  try {
    koffi();
    return true;
  } catch (error) {
    if (error instanceof MytapeError) return false;
    throw error;
  }
}

/** The user of this name, or of this number. Undefined: this host has no such user. Throws where koffi can't be had. */
export function findAccount(user: string | number): Account | undefined {
  const found = typeof user === 'string' ? calls().getpwnam(user) : calls().getpwuid(user);
  if (found === null) return undefined;
  const { decode } = koffi();
  return {
    uid: decode(found, PW_UID, 'uint32') as number,
    gid: decode(found, PW_GID, 'uint32') as number,
    name: decode(found, 'char *') as string,
  };
}

/**
 * Does `act` with the rights of `account`, as far as files go, and comes back to root's. For root; `act` must not await anything: the
 * effective user is that of the whole process.
 */
export function asAccount<T>(account: Account, act: () => T): T {
  const groups = process.getgroups?.() ?? [];
  const group = process.getegid?.() ?? 0;
  try {
    setGroups(account);
    process.setegid?.(account.gid);
    process.seteuid?.(account.uid);
    return act();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(group);
    process.setgroups?.(groups);
  }
}

/**
 * Goes on as `account` (undefined: as who we are) for good, without any capability, and without a way to gain rights by starting another
 * program (no_new_privs). Other processes of that user can't read or change our memory, or attach to us (PR_SET_DUMPABLE); most of /proc/PID is
 * root's then, as other processes see it. Sockets that are open stay as they are: the kernel asks for CAP_NET_RAW when a socket is made, not when it is
 * used. Linux only. Throws where `account` is given and we may not become it.
 */
export async function dropPrivileges(account: Account | undefined): Promise<void> {
  forbidNewPrivileges();
  if (account !== undefined) {
    setGroups(account);
    process.setgid?.(account.gid);
    process.setuid?.(account.uid);
  }
  // After setuid(2), which sets it to what fs.suid_dumpable says.
  check(calls().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), 'PR_SET_DUMPABLE');
  shedCapabilities();
  await shedInPool();
}

/** Gives up this thread's capabilities. */
export function shedCapabilities(): void {
  check(calls().capset(THIS_THREAD, NO_CAPABILITIES), 'capset');
}

function setGroups({ gid, name }: Account): void {
  if (name === undefined) process.setgroups?.([gid]);
  else (process as WithInitgroups).initgroups(name, gid);
}

/**
 * Empties the bounding set, which takes CAP_SETPCAP, and sets no_new_privs. Both belong to a thread; but a seccomp filter can be given to
 * all threads at once, and brings no_new_privs along: here one that lets everything pass. On a kernel without seccomp, or
 * before 4.17, only this thread has no_new_privs.
 */
function forbidNewPrivileges(): void {
  const { prctl, syscall } = calls();
  for (let capability = 0; capability < MOST_CAPABILITIES; capability++)
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) break;
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'no_new_privs');
  // struct sock_fprog: length 0, pointer 8.
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, 1, true);
  program.setBigUint64(8, BigInt(addressOf(ALLOW_ALL)), true);
  syscall(SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, TSYNC_AND_SPEC_ALLOW, program);
}

/**
 * Tasks of libuv's pool go to whichever thread is free: they are given until all of its threads have done one, or until it is clear that
 * one is busy for long.
 */
async function shedInPool(): Promise<void> {
  const threads = Number(process.env.UV_THREADPOOL_SIZE) || DEFAULT_POOL_THREADS;
  const { all, without } = countThreads();
  const goal = Math.min(all, without + threads);
  for (let round = 0; round < MOST_POOL_ROUNDS && countThreads().without < goal; round++)
    await Promise.all(Array.from({ length: threads }, shedInAnyOfPool));
}

function shedInAnyOfPool(): Promise<void> {
  return new Promise((resolve, reject) => {
    calls().capset.async(THIS_THREAD, NO_CAPABILITIES, (error, result) => {
      if (error === null && result === 0) resolve();
      else reject(error ?? new MytapeError('system-call', 'capset failed in a thread of the pool'));
    });
  });
}

/** Our threads, and those of them that have no capabilities. */
function countThreads(): { all: number; without: number } {
  const count = { all: 0, without: 0 };
  for (const thread of readdirSync('/proc/self/task')) {
    try {
      const status = readFileSync(`/proc/self/task/${thread}/status`, 'latin1');
      count.all++;
      if (/^CapPrm:\t0+$/m.test(status)) count.without++;
    } catch {
      // It has ended.
    }
  }
  return count;
}
