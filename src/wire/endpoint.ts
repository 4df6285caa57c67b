/** Recorded servers, told apart by address and port. */

/** `10.0.0.5 3307`, by which recorded servers are told apart. */
export function endpointKey(address: string, port: number): string {
  return `${address} ${port}`;
}

/** What such a key is made of. */
export function endpointOfKey(key: string): { address: string; port: number } {
  const [address, port] = key.split(' ');
  return { address, port: Number(port) };
}
