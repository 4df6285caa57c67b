/** Least MSS that we cut to. RFC 9293 (3.7.1) knows no lower bound; Linux's is 48. */
export const MIN_MSS = 64;

/**
 * MSS of paths that are narrower than they say, RFC 1191 (7.1) brought up to date: Ethernet, MTU 1400 (tunnels), 1280 (IPv6's
 * least), 576. Less the headers of IPv6: what fits there fits IPv4.
 */
const PLATEAUS = [1440, 1340, 1220, 516];

/**
 * What to cut to where full segments vanish and no router says why (RFC 4821 7.7): the next plateau that is a twentieth
 * smaller at least, because each step costs two time-outs. The same `mss` where there is none.
 */
export function nextPlateau(mss: number): number {
  return PLATEAUS.find((each) => each <= mss * 0.95) ?? mss;
}
