import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ConnectFailure, explainConnectFailure, type PathFacts } from '../../src/transport/diagnosis.ts';

const FACTS: PathFacts = {
  client: '10.1.2.3',
  clients: ['10.1.2.0/30', '10.1.9.9'],
  archive: 'peak.tape',
  target: '10.0.0.83',
  port: 3307,
  via: '10.0.0.84',
  local: false,
  self: false,
  reach: 'open',
};

function said(kind: ConnectFailure, facts: Partial<PathFacts> = {}): string {
  return explainConnectFailure(kind, { ...FACTS, ...facts }).join('\n');
}

describe('diagnosis', () => {
  test('silence, and the target lives: the routes to add there, the filter, and how to see', () => {
    const text = said('silent');
    assert.match(text, /^10\.0\.0\.83:3307 answers this host's own address, but no answer/);
    const onTarget =
      / {2}on the target 10\.0\.0\.83: route the clients via 10\.0\.0\.84 \(check: ip route get 10\.1\.2\.3\)\n/;
    assert.match(text, onTarget);
    assert.match(
      text,
      /\n {4}ip route add 10\.1\.2\.0\/30 via 10\.0\.0\.84\n {4}ip route add 10\.1\.9\.9 via/,
    );
    assert.match(text, /\n {4}sysctl -w net\.ipv4\.conf\.all\.rp_filter=2\n/);
    assert.match(
      text,
      /on the assistant 10\.0\.0\.84: .*-F 'tcp and src host 10\.0\.0\.83 and src port 3307'/,
    );
  });

  test('silence: a firewall on the target drops behind its own tcpdump, and --clients self is another way', () => {
    assert.match(
      said('silent'),
      /If they arrive and nothing goes back .* a firewall on that host drops them after tcpdump has seen them: .*--clients self\n {4}tcpdump -ni any 'tcp and host 10\.1\.2\.3 and port 3307'\n {4}nft list ruleset/,
    );
  });

  test('silence, and nobody knows whether the target lives: nothing is claimed of it', () => {
    assert.match(
      said('silent', { reach: undefined }),
      /^no answer of 10\.0\.0\.83:3307 to 10\.1\.2\.3 came to/,
    );
  });

  test('silence of a target that is not there, or not on that port, says so and nothing of routes', () => {
    assert.match(said('silent', { reach: 'silent' }), /answers nobody/);
    assert.match(said('silent', { reach: 'refused' }), /the target refuses: nothing listens on port 3307/);
    for (const reach of ['silent', 'refused'] as const)
      assert.doesNotMatch(said('silent', { reach }), /ip route add/);
  });

  test('many routes are not spelt out', () => {
    const clients = Array.from({ length: 20 }, (_, i) => `10.1.${i}.1`);
    const text = said('silent', { clients });
    assert.equal(text.match(/ip route add/g)?.length, 8);
    assert.match(text, /# … and 12 more, from: mytape routes peak\.tape --via 10\.0\.0\.84\n/);
    assert.match(said('silent', { clients, archive: undefined }), /# … and 12 more\n/);
  });

  test('IPv6 has routes of its own, and no rp_filter', () => {
    const facts = { client: 'fd77::1', clients: ['fd77::/64'], target: 'fd00::83', via: 'fd00::84' };
    const text = said('silent', facts);
    assert.match(text, /ip -6 route add fd77::\/64 via fd00::84/);
    assert.match(text, /ip -6 route get fd77::1/);
    assert.match(text, /^\[fd00::83\]:3307 answers/);
    assert.match(said('silent', { ...facts, via: '10.0.0.84' }), /via IPV6-ADDRESS-OF-10\.0\.0\.84\n/);
    assert.doesNotMatch(text, /rp_filter/);
    assert.match(said('reset', facts), /net\.ipv6\.conf\.all\.forwarding=0/);
  });

  test('--local: this host is the assistant', () => {
    const text = said('reset', { local: true });
    assert.match(text, /on this host: let the answers end there\n {4}sysctl -w net\.ipv4\.ip_forward=0/);
    assert.doesNotMatch(text, /the assistant/);
    assert.doesNotMatch(said('silent', { local: true }), /needs that interface as -i/);
  });

  test('intercept on the target itself: the route leads to an interface', () => {
    assert.match(said('silent', { via: FACTS.target }), /\n {4}ip route add 10\.1\.9\.9 dev mt0\n/);
  });

  test('a reset before the greeting: somebody else answered', () => {
    assert.match(
      said('reset'),
      /the real 10\.1\.2\.3 \(or a router\) answered the target too.*ip_forward is on/,
    );
    assert.match(
      said('reset'),
      /on the assistant 10\.0\.0\.84: let the answers end there\n {4}sysctl -w net\.ipv4\.ip_forward=0/,
    );
  });

  test('self needs no route and no assistant', () => {
    for (const kind of ['silent', 'reset', 'mute'] as const) {
      assert.doesNotMatch(said(kind, { self: true, local: true }), /route add|ip_forward|assistant/);
    }
    assert.match(said('reset', { self: true }), /the kernel of this host/);
  });

  test('a connection that is taken and not greeted', () => {
    assert.match(said('mute'), /took the connection of 10\.1\.2\.3, and then no greeting came/);
    assert.match(said('mute'), /skip_name_resolve/);
  });
});
