/**
 * RFC 5961 (7): least time between two answers to segments that cannot be of this connection, ms. As Linux's
 * tcp_invalid_ratelimit.
 */
export const CHALLENGE_MS = 500;
