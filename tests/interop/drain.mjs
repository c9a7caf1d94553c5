// BullMQ's own worker over a queue that is filled already: prints jobs a second.
//
//   node drain.mjs PORT CONCURRENCY JOBS
import process from 'node:process';
import { Worker } from 'bullmq6';

const [port, concurrency, jobs] = process.argv.slice(2).map(Number);
const begun = performance.now();
let done = 0;
const worker = new Worker('bench', async () => null, {
  connection: { host: '127.0.0.1', port, maxRetriesPerRequest: null },
  concurrency,
});
worker.on('error', (error) => console.error(String(error)));
worker.on('completed', async () => {
  done += 1;
  if (done < jobs) return;
  process.stdout.write(`${(jobs / ((performance.now() - begun) / 1000)).toFixed(0)}\n`);
  process.exit(0);
});
