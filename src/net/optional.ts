import { MytapeError } from '../errors.ts';

/**
 * Loads a package that mytape works without. Throws 'no-library' where it is not installed or not built, and says how to
 * get it.
 */
export async function importOptional(name: string): Promise<unknown> {
  try {
    const module = await import(name);
    return module.default ?? module;
  } catch (cause) {
    throw new MytapeError(
      'no-library',
      `the npm package ${name} is not here, or not built (try: npm install ${name})`,
      { cause },
    );
  }
}
