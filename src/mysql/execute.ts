/**
 * COM_STMT_EXECUTE: command octet, statement id, flags, iteration count; then, where there are parameters, the block of
 * bound-parameters.ts. With CLIENT_QUERY_ATTRIBUTES a count comes before that block, which may be more than the statement
 * has: the rest are attributes (MySQL manual, "COM_STMT_EXECUTE"). Whether it is in force the packet does not say.
 */
import {
  type BoundParameters,
  boundParametersAt,
  nullOctets,
  TYPE_OCTETS,
  valuesEnd,
} from './bound-parameters.ts';
import { framePayload, payloadOf } from './framing.ts';
import { lenenc, lenencSize } from './packet.ts';

const FLAGS = 5;
const PARAMETERS = 10;

/** Flag: a parameter count follows, even where the statement has no parameter. */
const PARAMETER_COUNT_AVAILABLE = 0x08;

/**
 * The types that `packet` sends: 2 octets a parameter, attributes included, names not. undefined where it sends none,
 * because they are those of the execution before, or is malformed. `params`: of the statement.
 */
export function typesOf(
  packet: Uint8Array,
  params: number,
  queryAttributes: boolean,
): Uint8Array | undefined {
  return parametersOf(payloadOf(packet), params, queryAttributes)?.types;
}

/** Whether `packet` has parameters whose types it leaves out: the server is to know them from the execution before. */
export function leavesTypesOut(packet: Uint8Array, params: number, queryAttributes: boolean): boolean {
  return untypedParameters(packet, params, queryAttributes) !== undefined;
}

/** Where the parameters of `packet` stand in its payload, where it has some and leaves their types out. */
export function untypedParameters(
  packet: Uint8Array,
  params: number,
  queryAttributes: boolean,
): (BoundParameters & { payload: Uint8Array }) | undefined {
  const payload = payloadOf(packet);
  const bound = parametersOf(payload, params, queryAttributes);
  return bound === undefined || bound.types !== undefined ? undefined : { ...bound, payload };
}

/**
 * Whether the values of `packet` are just those of its parameters, by the types that it sends or else by `types`; those in `longData`
 * have none.
 */
export function fitsTypes(
  packet: Uint8Array,
  params: number,
  types: Uint8Array | undefined,
  queryAttributes: boolean,
  longData?: ReadonlySet<number>,
): boolean {
  const payload = payloadOf(packet);
  const bound = parametersOf(payload, params, queryAttributes);
  const known = bound?.types ?? types;
  if (bound === undefined || known === undefined || known.length < bound.count * TYPE_OCTETS) return false;
  const { length } = payload;
  return valuesEnd(payload, { ...bound, types: known }, bound.count, length, longData) === length;
}

/**
 * A copy of `packet` that sends `types` (as from `typesOf`), for a server that has not seen the execution before. `packet`
 * itself where it sends types already, has no parameters, is malformed, or `types` are fewer than its parameters.
 */
export function withTypes(
  packet: Uint8Array,
  params: number,
  types: Uint8Array,
  queryAttributes: boolean,
): Uint8Array {
  const payload = payloadOf(packet);
  const bound = parametersOf(payload, params, queryAttributes);
  if (bound === undefined || bound.types !== undefined) return packet;
  const { count, flagAt, valuesAt } = bound;
  if (types.length < count * TYPE_OCTETS) return packet;
  // Behind each type an empty name, where names belong there.
  const stride = queryAttributes ? TYPE_OCTETS + 1 : TYPE_OCTETS;
  const copy = new Uint8Array(payload.length + count * stride);
  copy.set(payload.subarray(0, valuesAt));
  copy[flagAt] = 1;
  for (let i = 0; i < count; i++) {
    copy[valuesAt + i * stride] = types[i * TYPE_OCTETS];
    copy[valuesAt + i * stride + 1] = types[i * TYPE_OCTETS + 1];
  }
  copy.set(payload.subarray(valuesAt), valuesAt + count * stride);
  return framePayload(copy);
}

/**
 * A COM_STMT_EXECUTE made with CLIENT_QUERY_ATTRIBUTES as one without: no count, no names, and no more than the statement's
 * `params` parameters. `longData`: the parameters that COM_STMT_SEND_LONG_DATA brought. undefined where it is malformed, or
 * has attributes and not the types to find their values by.
 */
export function withoutAttributes(
  packet: Uint8Array,
  params: number,
  longData?: ReadonlySet<number>,
): Uint8Array | undefined {
  const payload = payloadOf(packet);
  if (payload.length < PARAMETERS) return undefined;
  if (params === 0) {
    const head = payload.slice(0, PARAMETERS);
    head[FLAGS] &= ~PARAMETER_COUNT_AVAILABLE;
    return framePayload(head);
  }
  const bound = parametersOf(payload, params, true);
  if (bound === undefined || bound.count < params) return undefined;
  const { count, nullsAt, flagAt, valuesAt } = bound;
  const end = count === params ? payload.length : valuesEnd(payload, bound, params, payload.length, longData);
  if (end === undefined) return undefined;
  const bitmap = payload.slice(nullsAt, nullsAt + nullOctets(params));
  if ((params & 7) !== 0) bitmap[bitmap.length - 1] &= (1 << (params & 7)) - 1;
  const types = bound.types?.subarray(0, params * TYPE_OCTETS) ?? new Uint8Array(0);
  const copy = new Uint8Array(PARAMETERS + bitmap.length + 1 + types.length + end - valuesAt);
  copy.set(payload.subarray(0, PARAMETERS));
  copy[FLAGS] &= ~PARAMETER_COUNT_AVAILABLE;
  copy.set(bitmap, PARAMETERS);
  copy[PARAMETERS + bitmap.length] = payload[flagAt];
  copy.set(types, PARAMETERS + bitmap.length + 1);
  copy.set(payload.subarray(valuesAt, end), PARAMETERS + bitmap.length + 1 + types.length);
  return framePayload(copy);
}

/** Where the parameters of a COM_STMT_EXECUTE's payload stand; undefined where it has none, or is malformed. */
function parametersOf(
  payload: Uint8Array,
  params: number,
  queryAttributes: boolean,
): BoundParameters | undefined {
  if (payload.length <= PARAMETERS) return undefined;
  if (!queryAttributes) {
    return params > 0 ? boundParametersAt(payload, PARAMETERS, payload.length, params, false) : undefined;
  }
  if (params === 0 && (payload[FLAGS] & PARAMETER_COUNT_AVAILABLE) === 0) return undefined;
  const size = lenencSize(payload[PARAMETERS]);
  if (size === 0 || PARAMETERS + size > payload.length) return undefined;
  const count = lenenc(payload, PARAMETERS);
  return count > 0 ? boundParametersAt(payload, PARAMETERS + size, payload.length, count, true) : undefined;
}
