import { createReadStream } from 'node:fs';
import { MytapeError } from '../errors.ts';
import { originOf } from '../flow/clock.ts';
import type { PacketBlock, PacketSource, SourceStats } from '../wire/packets.ts';
import { PcapParser } from '../wire/pcap.ts';
import { isPcapng, PcapngParser } from '../wire/pcapng.ts';
import type { LeftOut } from '../wire/pcapng-interface.ts';

/** What is read at once. */
const PIECE_OCTETS = 256 * 1024;

/** Files that hold a capture when unpacked, by their first octets, and what unpacks them. */
const PACKED: readonly [magic: string, tool: string][] = [
  ['1f8b', 'gzip'],
  ['04224d18', 'lz4'],
  ['28b52ffd', 'zstd'],
  ['fd377a58', 'xz'],
  ['425a68', 'bzip2'],
];

const LONGEST_MAGIC = 4;

/** The packets of a pcap or pcapng file, or of the like on stdin. Its blocks are valid until the next is pulled. */
export class CaptureFile implements PacketSource {
  readonly linkType: number;
  readonly originSec: number;
  /** Octets read so far. */
  octets: number;
  /** The file ended inside a packet, as that of a capture which was killed: so many octets of it are there. */
  truncatedOctets = 0;
  readonly #name: string;
  readonly #parser: PcapParser | PcapngParser;
  readonly #input: NodeJS.ReadableStream;
  readonly #pieces: AsyncIterator<Buffer>;
  #packets = 0;
  #closed = false;

  private constructor(
    name: string,
    parser: PcapParser | PcapngParser,
    linkType: number,
    input: NodeJS.ReadableStream,
    pieces: AsyncIterator<Buffer>,
    octets: number,
  ) {
    this.#name = name;
    this.#parser = parser;
    this.linkType = linkType;
    this.originSec = Math.max(0, parser.originSec);
    this.#input = input;
    this.#pieces = pieces;
    this.octets = octets;
  }

  /**
   * Opens the file `path` (`-`: stdin) and reads as far as its first packet. Throws `bad-file` where it can't be read or is
   * neither pcap nor pcapng.
   */
  static async open(path: string): Promise<CaptureFile> {
    const name = path === '-' ? 'stdin' : path;
    const input = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: PIECE_OCTETS });
    const pieces = (input as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    try {
      let octets = 0;
      let head: Buffer = Buffer.alloc(0);
      while (head.length < LONGEST_MAGIC) {
        const piece = await pieces.next();
        if (piece.done) break;
        head = Buffer.concat([head, piece.value]);
      }
      octets += head.length;
      const parser = isPcapng(head)
        ? new PcapngParser(originBy(new PcapngParser(), head))
        : new PcapParser(originBy(new PcapParser(), head));
      parser.push(head);
      // The first packets stay in the parser's block until they are pulled.
      while (!parser.pull() && !isOver(parser)) {
        const piece = await pieces.next();
        if (piece.done) break;
        octets += piece.value.length;
        parser.push(piece.value);
      }
      if (parser.state === 'header' || (isOver(parser) && !hasBegun(parser)))
        throw notACapture(name, head, path);
      const linkType = parser instanceof PcapngParser ? parser.linkType : parser.format!.linkType;
      return new CaptureFile(name, parser, linkType, input, pieces, octets);
    } catch (cause) {
      destroy(input);
      if (cause instanceof MytapeError) throw cause;
      throw new MytapeError('bad-file', `cannot read ${name}: ${(cause as Error).message}`, { cause });
    }
  }

  /** Packets of a pcapng file that could not be read so far. */
  get leftOut(): readonly LeftOut[] {
    return this.#parser instanceof PcapngParser ? this.#parser.leftOut : [];
  }

  /** Key logs that the file had with it and that were not taken yet. */
  takeSecrets(): string[] {
    return this.#parser instanceof PcapngParser ? this.#parser.secrets.splice(0) : [];
  }

  /** Octets of its key logs that are left out, because there are too many. */
  get secretsLeftOut(): number {
    return this.#parser instanceof PcapngParser ? this.#parser.secretsLeftOut : 0;
  }

  stats(): SourceStats {
    return { packets: this.#packets, dropped: 0 };
  }

  /** Ends the iteration, even one that waits for stdin. */
  close(): void {
    this.#closed = true;
    destroy(this.#input);
  }

  /** Rejects with `bad-file` where the file goes wrong, behind the packets that came before. */
  async *[Symbol.asyncIterator](): AsyncGenerator<PacketBlock> {
    const parser = this.#parser;
    try {
      let whole = parser.block.count > 0;
      while (!this.#closed) {
        if (whole) {
          this.#packets += parser.block.count;
          yield parser.block;
        } else {
          if (isOver(parser)) throw this.#wrong();
          const piece = await this.#pieces.next();
          if (piece.done) break;
          this.octets += piece.value.length;
          parser.push(piece.value);
        }
        whole = parser.pull();
      }
      if (!this.#closed && parser instanceof PcapParser && parser.endsInDamage) throw this.#wrong();
      this.truncatedOctets = parser.pendingOctets;
    } catch (cause) {
      if (cause instanceof MytapeError) throw cause;
      // Closed, and so is its stream: that is no error.
      if (this.#closed) return;
      throw new MytapeError('bad-file', `cannot read ${this.#name}: ${(cause as Error).message}`, { cause });
    } finally {
      destroy(this.#input);
    }
  }

  #wrong(): MytapeError {
    return new MytapeError('bad-file', `${this.#name} is damaged after its packet ${this.#packets}`);
  }
}

/** The second that times are to count from, by the packets in the file's first octets; -1 where these hold none. */
function originBy(parser: PcapParser | PcapngParser, head: Uint8Array): number {
  parser.push(head);
  if (!parser.pull()) return -1;
  const { at, count } = parser.block;
  const seconds = Array.from(at.subarray(0, count), (ns) => parser.originSec + Math.floor(ns / 1e9));
  return originOf(seconds);
}

function isOver(parser: PcapParser | PcapngParser): boolean {
  return parser.state === 'malformed';
}

/** Whether the front of the file was right. */
function hasBegun(parser: PcapParser | PcapngParser): boolean {
  return parser instanceof PcapngParser ? parser.hasSection : parser.format !== undefined;
}

function notACapture(name: string, head: Buffer, path: string): MytapeError {
  const packed = PACKED.find(([magic]) => head.subarray(0, magic.length / 2).toString('hex') === magic);
  const next =
    packed &&
    `: it is packed (try: ${packed[1]} -dc ${path === '-' ? '' : `${path} `}| mytape import - -o DIR)`;
  return new MytapeError('bad-file', `${name} is neither pcap nor pcapng${next ?? ''}`);
}

function destroy(input: NodeJS.ReadableStream): void {
  (input as NodeJS.ReadableStream & { destroy(): void }).destroy();
}
