import type { Command } from '../mysql/command.ts';
import type { HandshakeResponse } from '../mysql/handshake.ts';
import type { Reply } from '../mysql/reply.ts';
import type { CaptureNs } from '../time.ts';
import type { Address } from '../wire/address.ts';

/**
 * How much of a session the capture holds. Where several are true of it: the first of `one-sided` (one direction is missing),
 * `cut` (the capture has less of its packets than was on the wire: a snapshot length), `joined-late` (it began before), `gaps`.
 */
export type Coverage = 'whole' | 'joined-late' | 'gaps' | 'cut' | 'one-sided';

/**
 * How a connection stands: `open` to the end of the capture; `closed` by both FINs or a RST; `half-open`, nothing but SYN, SYN-ACK
 * and RST came; `unseen-end`, its end was missed: it was silent for too long, or its ports were used anew.
 */
export type SessionEnd = 'open' | 'closed' | 'half-open' | 'unseen-end';

/** Why a session cannot be replayed. Each has a line of its own in the summary. */
export type SkipCause =
  | 'tls'
  | 'joined-late'
  | 'gap'
  | 'desync'
  | 'login-failed'
  /** The server was at a limit, and said so in the place of its greeting; or unfinished commands and files took all that they may. */
  | 'no-room'
  | 'not-mysql'
  | 'replication'
  /** Said behind the server's FIN: nobody heard it. */
  | 'unheard'
  /** It was in a block of the archive that can't be read. */
  | 'damaged-block';

/** One recorded client connection. Shared by all its copies. */
export interface SessionMeta {
  /** Counts from 0, unless the decoder is told otherwise, in order of the session's first packet within the source. */
  id: number;
  client: Address;
  clientPort: number;
  server: Address;
  serverPort: number;
  /** When its first packet was on the wire. */
  at: CaptureNs;
  /** The recorded server's number for it: what KILL names. 0 where the capture does not hold it. */
  connectionId: number;
  /** The nonce of the server's greeting, which no other connection has; undefined where the capture does not hold it. */
  nonce?: Uint8Array;
  /** What the client said on login, with the capabilities in force; undefined where the capture does not hold it. */
  login?: HandshakeResponse;
  /** The server refused that login, with this error: no command follows. */
  refused?: number;
  /** Capabilities in force: the client's flags that the server had offered. */
  capabilities: number;
  /** MariaDB's extended capabilities in force. Both are as guessed from the answers in a session joined late. */
  extendedCapabilities: number;
  /** As of now: it may change as long as packets of the connection come. */
  readonly coverage?: Coverage;
}

/** What a client said in one go, in whatever protocol: a MySQL `Command`, or a `Turn` of one that is not known. */
export interface RecordedRequest {
  /** Counts from 0 within its session. */
  ordinal: number;
  /** When its last octet was on the wire. */
  at: CaptureNs;
  /** Its octets. */
  packet: Uint8Array;
  /** Whoever replays has seen that requests before it are missing. */
  followsLoss?: boolean;
  /** The recorded answer; undefined until it was seen whole, and for ever where none came. */
  reply?: Reply;
}

export type CloseHow = 'quit' | 'fin' | 'rst' | 'cut';

/**
 * What happens in a capture, in the order in which it becomes known. `open` comes when the login has succeeded, or was refused
 * (`session.refused`), or, in a session joined late, when the first command was made out (`session.login` is undefined
 * then); its own time (`session.at`) is that of the connection's first packet, before that. The answer to a command is set in `command.reply`
 * and then told by `reply`.
 *
 * A session that cannot be replayed from its start has no `open`, but one `skip`, when its end comes; a session that
 * becomes unreadable later gets `lost` (with the commands that were seen to be lost, where that is known), then goes on
 * or closes.
 */
export type FlowEvent<Request extends RecordedRequest = Command> =
  | { type: 'open'; at: CaptureNs; session: SessionMeta }
  | { type: 'command'; at: CaptureNs; session: SessionMeta; command: Request }
  | { type: 'reply'; at: CaptureNs; session: SessionMeta; command: Request }
  | { type: 'lost'; at: CaptureNs; session: SessionMeta; cause: SkipCause; commands: number }
  | { type: 'close'; at: CaptureNs; session: SessionMeta; how: CloseHow }
  | {
      type: 'skip';
      at: CaptureNs;
      session: SessionMeta;
      cause: SkipCause;
      commands: number;
      /** How its connection ended. */
      how: CloseHow;
    };
