/** A host's address, looked up where it is a name. */
import { lookup } from 'node:dns/promises';
import { MytapeError } from '../../errors.ts';
import { type Address, parseAddress } from '../../wire/address.ts';

/** A host's address; a name is looked up, and its IPv4 address taken where it has both. */
export async function resolveHost(host: string): Promise<Address> {
  const address = parseAddress(host) ?? parseAddress(await addressOfName(host));
  if (address !== undefined) return address;
  throw new MytapeError('usage', `${host} has an address of its link only (try: another address of it)`);
}

async function addressOfName(name: string): Promise<string> {
  try {
    return (await lookup(name, { verbatim: false })).address;
  } catch (cause) {
    throw new MytapeError('usage', `there is no host ${name} (${(cause as NodeJS.ErrnoException).code})`, {
      cause,
    });
  }
}
