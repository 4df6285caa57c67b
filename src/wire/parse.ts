/** Why a packet is not a TCP segment that we can use. `ok` is 0 so that it tests as false. */
export const PARSE = { ok: 0, notIp: 1, notTcp: 2, fragment: 3, truncated: 4, malformed: 5 } as const;
