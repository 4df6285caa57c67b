/** Targets that mean no good, by what they do. */

import { CLIENT } from '../../../src/mysql/capabilities.ts';
import { greeting, OFFERED, SCRAMBLE } from '../../mysql/support/mysql8.ts';
import { column, eof, err, ok, okAsEof, packets, payload, row } from '../../mysql/support/packets.ts';
import type { Hostile, HostileOptions, Peer } from './run.ts';

export interface Target extends HostileOptions {
  hostile: Hostile;
}

/** A file that is none of the recording's. */
export const OTHER_FILE = '/etc/passwd';

const NATIVE = 'mysql_native_password';
const OFFERS = (OFFERED | CLIENT.localFiles) & ~CLIENT.ssl;

const GREETING = greeting(NATIVE, OFFERS);
const MORE_RESULTS = 8;
const HEADER_OF_16_MIB = Uint8Array.of(0xff, 0xff, 0xff, 0);
const HEADER_OF_15_MIB = Uint8Array.of(0, 0, 0xf0, 1);
const GARBAGE = Uint8Array.from({ length: 997 }, (_, i) => (i * i * 31 + 7) & 255);

/** These again and again, with sequence ids that follow: whoever repeats it goes on in sequence. */
export function cycle(first: number, ...payloads: Uint8Array[]): Uint8Array {
  return packets(first, ...Array<Uint8Array[]>(256).fill(payloads).flat());
}

/** Lets the client in. Answers false where it did not come. */
async function letIn(peer: Peer): Promise<boolean> {
  await peer.send(GREETING);
  if ((await peer.next()) === undefined) return false;
  await peer.send(packets(2, ok()));
  return true;
}

/** Lets the client in, takes its first command, and then does `what`. */
const onCommand = (what: (peer: Peer, command: Uint8Array) => Promise<void>): Target => ({
  hostile: async (peer) => {
    if (!(await letIn(peer))) return;
    const command = await peer.next();
    if (command !== undefined) await what(peer, command);
  },
});

/** The same on the first connection only; all others are refused at once, until the run is stopped. */
const stopped = (target: Target, stopAfter: number): Target => ({ ...target, stopAfter });

const onGreeting = (what: Hostile): Target => ({ hostile: what });

const onLogin = (what: (peer: Peer) => Promise<void>): Target => ({
  hostile: async (peer) => {
    await peer.send(GREETING);
    if ((await peer.next()) !== undefined) await what(peer);
  },
});

/** Answers everything with OK, until it does `what` instead of an answer to COM_QUIT. */
const onQuit = (what: (peer: Peer) => Promise<void>): Target => ({
  hostile: async (peer) => {
    if (!(await letIn(peer))) return;
    for (let packet = await peer.next(); packet !== undefined; packet = await peer.next()) {
      if (packet[4] === 1) return what(peer);
      await peer.send(packets(1, ok()));
    }
  },
});

const infile = (sequenceId: number) => packets(sequenceId, payload(0xfb, OTHER_FILE));
const COLUMNS = [payload(1), column('a'), eof()];

/** By name. A run onto each of them ends by its own time-outs, unless it is stopped. */
export const TARGETS: Readonly<Record<string, Target>> = {
  'takes the connection and says nothing': onGreeting((peer) => peer.silence()),
  'closes at once': stopped(
    onGreeting(async (peer) => peer.end()),
    3,
  ),
  'resets at once': stopped(
    onGreeting(async (peer) => peer.reset()),
    3,
  ),
  'greets with garbage': onGreeting(async (peer) => {
    await peer.send(GARBAGE);
    await peer.silence();
  }),
  'greets with garbage without end': onGreeting((peer) => peer.forEver(GARBAGE)),
  'greets with a packet of 16 MiB without end': onGreeting(async (peer) => {
    await peer.send(HEADER_OF_16_MIB);
    await peer.forEver(GARBAGE);
  }),
  'greets by one octet after the other': onGreeting((peer) => peer.drip(HEADER_OF_15_MIB)),
  'greets without end': onGreeting((peer) => peer.forEver(GREETING)),
  'greets with empty packets without end': onGreeting((peer) => peer.forEver(Uint8Array.of(0, 0, 0, 0))),
  'greets with errors without end': onGreeting((peer) => peer.forEver(packets(0, err(1130)))),
  'greets with a wrong sequence id': onGreeting(async (peer) => {
    await peer.send(Uint8Array.from(GREETING, (octet, i) => (i === 3 ? 77 : octet)));
    await peer.silence();
  }),
  'greets as protocol 9': onGreeting(async (peer) => {
    await peer.send(packets(0, payload(9, 'old', 0)));
    await peer.silence();
  }),
  'greets with the beginning of a greeting': onGreeting(async (peer) => {
    await peer.send(packets(0, GREETING.subarray(4, 20)));
    await peer.silence();
  }),
  'has no room, ever': stopped(
    onGreeting(async (peer) => {
      await peer.send(packets(0, err(1040, 'Too many connections')));
      peer.end();
    }),
    3,
  ),
  'answers TLS with garbage': {
    tls: { verify: 'none' },
    stopAfter: 2,
    hostile: async (peer) => {
      await peer.send(greeting(NATIVE, OFFERED));
      await peer.next();
      await peer.forEver(GARBAGE);
    },
  },
  'answers TLS with silence': {
    tls: { verify: 'none' },
    stopAfter: 2,
    hostile: async (peer) => {
      await peer.send(greeting(NATIVE, OFFERED));
      await peer.silence();
    },
  },
  'speaks in clear behind the request for TLS': {
    tls: { verify: 'none' },
    hostile: async (peer) => {
      await peer.send(greeting(NATIVE, OFFERED));
      await peer.next();
      await peer.forEver(packets(2, ok()));
    },
  },
  'does not answer a login': onLogin((peer) => peer.silence()),
  'closes in a login': stopped(
    onLogin(async (peer) => peer.end()),
    3,
  ),
  'switches plugins without end': onLogin(async (peer) => {
    for (let id = 2; !peer.closed; id = (id + 2) & 255) {
      await peer.send(packets(id, payload(0xfe, NATIVE, 0, SCRAMBLE, 0)));
      if ((await peer.next()) === undefined) return;
    }
  }),
  'switches plugins without waiting': onLogin((peer) =>
    peer.forEver(cycle(2, payload(0xfe, NATIVE, 0, SCRAMBLE, 0))),
  ),
  'asks for more authentication without end': onLogin((peer) => peer.forEver(cycle(2, payload(1, 3)))),
  'asks for the password in clear': onLogin(async (peer) => {
    await peer.send(packets(2, payload(0xfe, 'mysql_clear_password', 0)));
    await peer.silence();
  }),
  'asks for the password under a key of its own': onLogin(async (peer) => {
    await peer.send(packets(2, payload(0xfe, 'sha256_password', 0, SCRAMBLE, 0)));
    await peer.silence();
  }),
  'ends a login by an OK of one octet': onLogin(async (peer) => {
    await peer.send(packets(2, payload(0)));
    await peer.silence();
  }),
  'does not answer': onCommand((peer) => peer.silence()),
  'answers with garbage': onCommand((peer) => peer.forEver(GARBAGE)),
  'answers with rows without end': onCommand(async (peer) => {
    await peer.send(packets(1, ...COLUMNS));
    await peer.forEver(cycle(4, row('x'.repeat(200))));
  }),
  'answers with one row without end': onCommand(async (peer) => {
    await peer.send(packets(1, ...COLUMNS));
    for (let id = 4; !peer.closed; id = (id + 1) & 255) {
      await peer.send(Uint8Array.of(0xff, 0xff, 0xff, id));
      for (let left = 0xff_ffff; left > 0 && !peer.closed; left -= 65_536)
        await peer.send(new Uint8Array(Math.min(left, 65_536)));
    }
  }),
  'answers by one octet after the other': onCommand(async (peer) => {
    await peer.send(packets(1, ...COLUMNS));
    await peer.drip(packets(4, row('abc')));
  }),
  'answers with 2^64 columns': onCommand(async (peer) => {
    await peer.send(packets(1, payload(0xfe, new Uint8Array(8).fill(0xff))));
    await peer.forEver(cycle(2, column('a')));
  }),
  'answers with 16 million columns, and no definition': onCommand(async (peer) => {
    await peer.send(packets(1, payload(0xfd, 0xff, 0xff, 0xff)));
    await peer.silence();
  }),
  'answers with columns of 16 MiB': onCommand(async (peer) => {
    await peer.send(packets(1, payload(1)), HEADER_OF_16_MIB);
    await peer.forEver(GARBAGE);
  }),
  'answers with EOFs without end': onCommand((peer) => peer.forEver(cycle(1, eof()))),
  'answers with results without end': onCommand((peer) => peer.forEver(cycle(1, ok(0, MORE_RESULTS)))),
  'answers with result sets without end': onCommand(async (peer) => {
    await peer.forEver(cycle(1, ...COLUMNS, row('x'), eof(MORE_RESULTS)));
  }),
  'answers with OKs of another kind': onCommand((peer) => peer.forEver(cycle(1, okAsEof()))),
  'answers with reports of progress without end': onCommand((peer) =>
    peer.forEver(cycle(1, payload(0xff, 0xff, 0xff, 1, 1, 1, 0, 0, 0, 4, 'busy'))),
  ),
  'answers with wrong sequence ids': onCommand(async (peer) => {
    await peer.send(packets(200, ...COLUMNS, row('x'), eof()));
    await peer.silence();
  }),
  'answers with lengths that lie': onCommand(async (peer) => {
    await peer.send(packets(1, ...COLUMNS), packets(4, payload(0xfe, new Uint8Array(8).fill(0x7f), 'x')));
    await peer.silence();
  }),
  'closes in an answer': stopped(
    onCommand(async (peer) => {
      await peer.send(packets(1, ...COLUMNS), Uint8Array.of(9, 0, 0, 4, 8));
      peer.end();
    }),
    4,
  ),
  'resets in an answer': stopped(
    onCommand(async (peer) => {
      await peer.send(packets(1, ...COLUMNS));
      peer.reset();
    }),
    4,
  ),
  'asks for a file in place of an answer': onCommand(async (peer) => {
    await peer.send(infile(1));
    for (let packet = await peer.next(); packet !== undefined; packet = await peer.next())
      if (packet.length === 4) await peer.send(packets((packet[3] + 1) & 255, ok()));
  }),
  'asks for files without end': onCommand(async (peer) => {
    for (let id = 1; !peer.closed; ) {
      await peer.send(infile(id));
      const packet = await peer.next();
      if (packet === undefined) return;
      id = (packet[3] + 1) & 255;
    }
  }),
  'asks for files without waiting': onCommand((peer) => peer.forEver(infile(1))),
  'asks for a file in a login': onLogin((peer) => peer.forEver(packets(2, payload(0xfb, OTHER_FILE)))),
  'answers what nobody asked': {
    hostile: async (peer) => {
      if (await letIn(peer)) await peer.forEver(packets(1, ok()));
    },
  },
  'answers what nobody asked, with files to ask for': {
    hostile: async (peer) => {
      if (await letIn(peer)) await peer.forEver(packets(1, ok()), infile(1));
    },
  },
  'reads nothing': {
    hostile: async (peer) => {
      if (!(await letIn(peer))) return;
      peer.socket.pause();
      await peer.silence();
    },
  },
  'reads nothing, and talks without end': {
    hostile: async (peer) => {
      if (!(await letIn(peer))) return;
      peer.socket.pause();
      await peer.forEver(packets(1, ...COLUMNS, row('x'), eof()));
    },
  },
  'never closes': onQuit((peer) => peer.silence()),
  'never closes, and talks without end': onQuit((peer) => peer.forEver(packets(1, ok()))),
  'never closes, and talks garbage without end': onQuit((peer) => peer.forEver(GARBAGE)),
  'never closes, and sends one octet after the other': onQuit((peer) => peer.drip(packets(1, ok()))),
  'closes its direction only, and reads nothing': onQuit(async (peer) => {
    peer.socket.pause();
    peer.end();
    await peer.silence();
  }),
};
