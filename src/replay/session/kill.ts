/** The packets of commands that kill a connection by the recorded server's number for it, with the target's in its place. */
import { payloadOf } from '../../mysql/framing.ts';
import { textOf, withText } from '../../mysql/query-attributes.ts';

/** Where COM_PROCESS_KILL's packet has the connection id, int<4>. */
const PROCESS_ID = 5;

/** A COM_QUERY or COM_STMT_PREPARE with another connection's `id` in the place that `killOf` has found. Copies. */
export function withKillId(
  packet: Uint8Array,
  { from, to }: { from: number; to: number },
  id: number,
): Uint8Array {
  const text = Buffer.from(textOf(packet));
  return withText(
    packet,
    Buffer.concat([text.subarray(0, from), Buffer.from(String(id)), text.subarray(to)]),
  );
}

/** The connection id of a COM_PROCESS_KILL; undefined where it is cut short. */
export function processKillId(packet: Uint8Array): number | undefined {
  if (payloadOf(packet).length < 5) return undefined;
  return new DataView(packet.buffer, packet.byteOffset).getUint32(PROCESS_ID, true);
}

/** A COM_PROCESS_KILL (not cut short) with another connection's `id`. Copies. */
export function withProcessKillId(packet: Uint8Array, id: number): Uint8Array {
  const copy = new Uint8Array(packet);
  new DataView(copy.buffer).setUint32(PROCESS_ID, id, true);
  return copy;
}
