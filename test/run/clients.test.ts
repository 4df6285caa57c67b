import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InvalidArgumentError } from 'commander';
import { WHOLE } from '../../src/replay/share.ts';
import { clientAddresses, clientPorts, planClients } from '../../src/run/clients.ts';
import { PortAllocator } from '../../src/transport/ports.ts';
import { parseClients } from '../../src/verbs/plan-clients.ts';
import { type Address, parseAddress } from '../../src/wire/address.ts';

const address = (text: string) => parseAddress(text) as Address;

function plan(choice: string, more: { target?: string; assistant?: string; clients?: string[] } = {}) {
  const { target = '10.128.6.83', assistant, clients = [] } = more;
  return planClients(parseClients(choice), {
    target: address(target),
    assistant: assistant === undefined ? undefined : address(assistant),
    copies: 2,
    clients,
  });
}

describe('ports', () => {
  test('no two threads of hosts that share a run speak from one port of an address, however many threads each has', () => {
    const recorded = plan('recorded');
    const client = address('10.1.1.1');
    const taken = new Set<number>();
    for (const [host, threads] of [2, 3].entries()) {
      for (let index = 0; index < threads; index++) {
        const ports = new PortAllocator(
          7,
          clientPorts(recorded, { index, of: threads }, { index: host, of: 2 }),
        );
        for (let port = ports.take(client); port !== undefined; port = ports.take(client)) {
          assert.ok(!taken.has(port), `${port} twice`);
          taken.add(port);
        }
      }
    }
    assert.equal(taken.size, 55_000);
  });
});

describe('--clients', () => {
  test('what it is not is refused, with what it can be', () => {
    for (const text of ['Self', '10.99.0.0', '10.99.0.1/16']) {
      assert.throws(
        () => parseClients(text),
        (error) => error instanceof InvalidArgumentError && /neither recorded nor self/.test(error.message),
      );
    }
  });

  test('a range: pairs of client and copy are counted off in it', () => {
    const made = plan('10.99.0.0/16', { clients: ['10.1.1.1', '10.1.1.2', '10.1.1.1', 'fd00::3'] });
    const addresses = clientAddresses(structuredClone(made), 4);
    assert.equal(addresses.addressOf(address('fd00::3'), 1)?.text, '10.99.0.6');
    assert.deepEqual(clientPorts(made, WHOLE), { index: 0, of: 1 });
  });

  test('a range with a host of the run in it is refused', () => {
    const refused = (choice: string, what: RegExp, more = {}) => {
      assert.throws(() => plan(choice, { assistant: '10.128.6.84', ...more }), {
        code: 'usage',
        message: what,
      });
    };
    refused('10.128.6.80/30', /10\.128\.6\.83 in it, the target's own/);
    refused('10.128.6.84/32', /10\.128\.6\.84 in it, the address of the intercept/);
    refused('127.0.0.0/8', /127\.0\.0\.1 in it, this host's own/);
    refused('fd00:99::/64', /is of IPv6, and the target 10\.128\.6\.83 is not/);
    refused('10.99.0.0/16', /take a range of IPv6/, { target: 'fd00::1', assistant: 'fd00::2' });
  });

  test("self: this host's own address, and ports that are nobody's; not with an intercept elsewhere", () => {
    const made = plan('self', { target: '127.0.0.1' });
    assert.ok(made.from === 'self');
    assert.equal(made.address.text, '127.0.0.1');
    const addresses = clientAddresses(structuredClone(made), 4);
    assert.equal(addresses.addressOf(address('10.1.1.1'), 0)?.text, '127.0.0.1');
    const { first, last, except } = clientPorts(structuredClone(made), WHOLE);
    assert.deepEqual([first, last, except], [made.first, made.last, made.taken]);
    assert.throws(() => plan('self', { assistant: '10.128.6.84' }), { code: 'usage', message: /--local/ });
  });

  test('recorded: nothing to plan', () => {
    const made = plan('recorded');
    assert.deepEqual(made, { from: 'recorded' });
    assert.equal(clientAddresses(made, 4).addressOf(address('10.1.1.1'), 3)?.text, '10.1.1.1');
  });
});
