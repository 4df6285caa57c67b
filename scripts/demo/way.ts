import type { Lab } from '../lab/lab.ts';
import { PORT } from '../lab/server.ts';
import { RELAY_PORT, type ReplayFiles, startIntercept, tape } from '../lab/tape.ts';
import { command, explain, fact } from './narrator.ts';

/** Routes shown. */
const SHOWN = 4;

/** Step: what the target needs to be told, and whether the way there and back holds. False where it does not. */
export async function checkWay(lab: Lab, archive: string, files: ReplayFiles): Promise<boolean> {
  const { assistant, target } = lab.addresses;
  const routes = ['routes', archive, '--via', assistant];
  command('online', ['mytape', ...routes]);
  const lines = await tape(lab, 'online', routes);
  const printed = lines.stdout.trimEnd().split('\n');
  for (const line of printed.slice(0, SHOWN)) fact(line);
  if (printed.length > SHOWN) fact(`… ${printed.length - SHOWN} more lines`);
  fact('the lines that the target needs, the fewest that cover the recorded clients', lines.code === 0);
  explain(
    'In the lab one line for all of the clients’ range is there already. doctor tries it out, with real packets:',
  );
  const intercept = await startIntercept(lab, files);
  try {
    const relay = ['-s', `${assistant}:${RELAY_PORT}`, '--key-file', files.key];
    const args = ['doctor', '-x', `${PORT}-${target}:${PORT}`, ...relay, '--archive', archive];
    command('online', ['mytape', ...args]);
    const doctor = await tape(lab, 'online', args);
    for (const line of doctor.stdout.trimEnd().split('\n')) fact(line);
    fact('the way is good', doctor.code === 0);
    if (doctor.code !== 0) fact(doctor.stderr, false);
    return lines.code === 0 && doctor.code === 0;
  } finally {
    await intercept.stop();
  }
}
