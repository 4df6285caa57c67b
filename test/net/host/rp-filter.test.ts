import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { loosen } from '../../../src/net/host/rp-filter.ts';
import { addNamespace, removeNamespace } from '../../support/namespace.ts';
import { skip } from '../namespaces.ts';

const NAMESPACE = `mytape-rp-${process.pid}`;

function inside(...command: string[]): string {
  return execFileSync('ip', ['netns', 'exec', NAMESPACE, ...command], { encoding: 'utf8' });
}

/** Asked by a process of that namespace: /proc/sys/net is its own. */
function ask(call: string): unknown {
  const url = JSON.stringify(new URL('../../../src/net/host/rp-filter.js', import.meta.url).href);
  const script = `import * as it from ${url}; console.log(JSON.stringify(it.${call} ?? null))`;
  return JSON.parse(inside(process.execPath, '--input-type=module', '-e', script));
}

function set(name: string, value: number): void {
  inside('sh', '-c', `echo ${value} > /proc/sys/net/ipv4/conf/${name}/rp_filter`);
}

test('the line to type has a slash where the interface has a dot', () => {
  assert.equal(loosen('eth0.100'), 'sysctl -w net.ipv4.conf.eth0/100.rp_filter=2');
});

describe('rp_filter', { skip }, () => {
  before(() => {
    addNamespace(NAMESPACE);
    execFileSync('ip', ['-n', NAMESPACE, '-batch', '-'], {
      input: [
        'link add eth0 type veth peer name far0',
        'link add mt0 type veth peer name mt1',
        'addr add 10.9.0.1/24 dev eth0',
        'link set eth0 up',
        'link set far0 up',
        'link set mt0 arp off up',
        'link set mt1 arp off up',
      ].join('\n'),
    });
    for (const name of ['all', 'default', 'eth0', 'mt0', 'mt1']) set(name, 0);
  });
  after(() => removeNamespace(NAMESPACE));

  test('is the larger of the interface and all', () => {
    assert.equal(ask("rpFilterOf('eth0')"), 0);
    set('eth0', 1);
    assert.equal(ask("rpFilterOf('eth0')"), 1);
    set('all', 2);
    assert.equal(ask("rpFilterOf('eth0')"), 2);
    set('all', 0);
    assert.equal(ask("rpFilterOf('nothing')"), 0);
  });

  test('warns where it is strict and the clients’ route ends here, with the line that mends it', () => {
    set('eth0', 0);
    set('all', 1);
    const warning = ask("rpFilterWarning(['mt0'])") as string;
    assert.match(warning, /arrive on eth0 are dropped: .* leads to mt0/);
    assert.equal(ask("rpFilterWarning(['eth0'])"), null, 'an interface that leads somewhere');
    const [, line] = /\(run: sysctl -w (.*)\)/.exec(warning)!;
    const [name, value] = line.split('=');
    inside('sh', '-c', `echo ${value} > /proc/sys/${name.replaceAll('.', '/')}`);
    assert.equal(ask("rpFilterWarning(['mt0'])"), null);
  });
});
