// Runs many small jobs in three queues: one keeps what ends, one keeps the last few, one keeps nothing. Prints a line
// when it begins, and one with what was done when all have ended.
//
//   node busy.mjs 4|5|6 PORT JOBS
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

const [major, port, jobs] = process.argv.slice(2).map(Number);
const { Queue, Worker } = await import(`bullmq${major}`);
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
const queues = { keep: {}, trim: { removeOnComplete: 10, removeOnFail: 50 }, drop: { removeOnComplete: true } };

for (const [name, opts] of Object.entries(queues)) {
  const queue = new Queue(name, { connection });
  await queue.addBulk(Array.from({ length: jobs }, (_, n) => ({ name: 'j', data: { n }, opts })));
}
console.log(JSON.stringify({ added: jobs }));
// Whoever counts needs a moment to see the queues as they are before the first job ends.
await new Promise((resolve) => process.stdin.once('data', resolve));
const ended = {};
for (const name of Object.keys(queues)) {
  ended[name] = { completed: 0, failed: 0 };
  const worker = new Worker(name, async (job) => {
    await sleep(1);
    if (job.data.n % 10 === 3) throw new Error('every tenth fails');
  }, { connection, concurrency: 4 });
  worker.on('completed', () => { ended[name].completed += 1; });
  worker.on('failed', () => { ended[name].failed += 1; });
}
while (Object.values(ended).some((one) => one.completed + one.failed < jobs)) await sleep(20);
console.log(JSON.stringify(ended));
process.stdin.resume();
await new Promise((resolve) => process.stdin.once('end', resolve));
process.exit(0);
