/** Ends when nothing keeps it alive (timer.test.ts), and says before what went off. */
import { isMainThread, Worker } from 'node:worker_threads';
import { openAlarm } from '../../src/net/timer.ts';

const [how] = process.argv.slice(2);
const alarm = openAlarm(() => {
  process.stdout.write('went off\n');
  alarm.close();
});
if (how === 'set') alarm.set(5);
else if (how === 'cleared') {
  alarm.set(60_000);
  alarm.clear();
} else if (how === 'gone off') {
  const other = openAlarm(() => process.stdout.write('went off\n'));
  other.set(5);
} else if (how === 'in a worker' && isMainThread) {
  alarm.close();
  new Worker(new URL(import.meta.url), { argv: ['set'] });
}
