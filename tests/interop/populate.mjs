// Fills a Redis with queues of one BullMQ version, in every state a queue can show, and prints as one line of JSON what
// the library itself says of them. Holds its running jobs until standard input closes.
//
//   node populate.mjs 4|5|6 PORT
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

const [major, port] = process.argv.slice(2).map(Number);
const { Queue, Worker, FlowProducer } = await import(`bullmq${major}`);
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };

const client = new Redis(connection);
const keep = (thing) => {
  thing.on?.('error', (error) => console.error(error));
  return thing;
};
const queueOf = (name, prefix = 'bull') => keep(new Queue(name, { connection, prefix }));

async function until(what, ready) {
  const end = Date.now() + 20_000;
  while (!(await ready())) {
    if (Date.now() > end) throw new Error(`waited 20 s for ${what}`);
    await sleep(10);
  }
}

// mail: a bit of everything.
const mail = queueOf('mail');
let release;
const held = new Promise((resolve) => { release = resolve; });
await mail.addBulk([
  { name: 'welcome', data: { to: 'ada@example.com', n: 1 } },
  { name: 'welcome', data: { to: 'bob@example.com', n: 2 } },
  { name: 'report', data: { pages: [1, 2, 3] }, opts: { jobId: 'report-a' } },
  { name: 'broken', data: { why: 'always' } },
  { name: 'broken', data: { why: 'always' }, opts: { attempts: 2 } },
  { name: 'flaky', data: {}, opts: { attempts: 3, backoff: { type: 'fixed', delay: 3_600_000 } } },
]);
const worker = keep(new Worker('mail', async (job) => {
  switch (job.name) {
    case 'report':
      await job.log('first line');
      await job.log('second line');
      await job.log('third line');
      await job.updateProgress({ step: 2, total: 4, stage: 'print' });
      return { pages: 3, ok: true };
    case 'broken':
      throw new Error('mailbox unavailable\nsecond line of the message');
    case 'flaky':
      throw new Error('try again later');
    case 'hold':
      await job.updateProgress(40);
      await held;
      return 'held';
    default:
      await job.updateProgress(100);
      return null;
  }
}, { connection, concurrency: 2, name: 'web-1' }));
await until('the first jobs to end', async () => {
  const counts = await mail.getJobCounts('completed', 'failed', 'delayed');
  return counts.completed === 3 && counts.failed === 2 && counts.delayed === 1;
});
await mail.addBulk([{ name: 'hold', data: { a: 1 } }, { name: 'hold', data: { a: 2 } }]);
await until('both slots to be busy', async () => (await mail.getActiveCount()) === 2);
await until('progress of the held jobs', async () => (await mail.getActive()).every((job) => job.progress === 40));
for (let n = 0; n < 6; n++) await mail.add('later', { n });
for (const priority of [7, 1, 7, 3]) await mail.add('urgent', { priority }, { priority });
for (let n = 0; n < 3; n++) await mail.add('tomorrow', { n }, { delay: 86_400_000 + n });
if (major >= 5) {
  await mail.upsertJobScheduler('daily', { pattern: '0 8 * * *', tz: 'Europe/Oslo' }, { name: 'digest', data: { d: 1 } });
  await mail.upsertJobScheduler('every:5', { every: 300_000 }, { name: 'tick' });
  await mail.add('once', { d: 1 }, { deduplication: { id: 'only', ttl: 600_000 } });
  await mail.add('once', { d: 2 }, { deduplication: { id: 'only', ttl: 600_000 } });
} else {
  await mail.add('digest', { d: 1 }, { repeat: { pattern: '0 8 * * *', tz: 'Europe/Oslo' } });
  await mail.add('tick', {}, { repeat: { every: 300_000 } });
}

// A flow: a parent in mail, its children in parts, one of them done.
const flows = keep(new FlowProducer({ connection }));
const tree = await flows.add({
  name: 'album',
  queueName: 'mail',
  data: { album: 1 },
  children: [
    { name: 'photo', queueName: 'parts', data: { p: 1 } },
    { name: 'photo', queueName: 'parts', data: { p: 2 } },
    { name: 'photo', queueName: 'parts', data: { p: 3 }, opts: { delay: 3_600_000 } },
  ],
});
const parts = queueOf('parts');
const once = new Worker('parts', null, { connection, autorun: false });
const child = await once.getNextJob('token-of-parts:1');
await child.moveToCompleted({ size: 12 }, 'token-of-parts:1', false);
await once.close();

// Paused with jobs; one is large.
const quiet = queueOf('quiet');
await quiet.add('a', { n: 1 });
await quiet.add('b', { blob: 'x'.repeat(300_000) });
await quiet.add('c', { n: 3 });
await quiet.pause();

// Nothing is kept of what ends.
const swift = queueOf('swift');
await swift.addBulk(Array.from({ length: 7 }, (_, n) => ({ name: 's', data: { n }, opts: { removeOnComplete: true } })));
const sprinter = keep(new Worker('swift', async () => 1, { connection }));
await until('the swift jobs to go', async () => {
  const counts = await swift.getJobCounts();
  return Object.values(counts).every((count) => count === 0);
});
await sprinter.close();

// Odd names, and a queue that never had a job.
const odd = [queueOf('mail', 'app:prod'), queueOf('{t} *[x]', '{acme}')];
for (const queue of odd) {
  await queue.add('x', { n: 1 });
  await queue.add('x', { n: 2 });
}
const empty = queueOf('empty');
await empty.waitUntilReady();
if (major >= 6) {
  await empty.setGlobalConcurrency(3);
  await empty.setGlobalRateLimit(10, 60_000);
}
await until('the settings of a queue without jobs', async () => (await client.exists('bull:empty:meta')) === 1);

// What the library says.
const states = ['waiting', 'prioritized', 'active', 'delayed', 'waiting-children', 'completed', 'failed'];
async function judge(queue, prefix) {
  const counts = await queue.getJobCounts('wait', 'paused', ...states.slice(1));
  const said = {
    prefix,
    name: queue.name,
    paused: await queue.isPaused(),
    counts: { ...counts, waiting: (counts.waiting ?? counts.wait ?? 0) + (counts.paused ?? 0) },
    lists: {},
    jobs: {},
  };
  delete said.counts.wait;
  delete said.counts.paused;
  for (const state of states) {
    const asked = state === 'waiting' ? (major >= 6 ? ['wait'] : ['wait', 'paused']) : [state];
    const newestFirst = state === 'completed' || state === 'failed';
    const jobs = (await queue.getJobs(asked, 0, 99, !newestFirst)).filter(Boolean);
    said.lists[state] = jobs.map((job) => job.id);
    for (const job of jobs) {
      const logs = await queue.getJobLogs(job.id);
      said.jobs[job.id] = {
        state: await job.getState(),
        name: job.name,
        data: job.data,
        attempts: job.attemptsMade,
        attempts_max: Math.max(1, job.opts.attempts ?? 1),
        priority: job.opts.priority ?? 0,
        timestamp: job.timestamp,
        started: job.processedOn ?? null,
        finished: job.finishedOn ?? null,
        failed_reason: job.failedReason ?? null,
        stack: job.stacktrace ?? [],
        result: job.returnvalue ?? null,
        progress: job.progress,
        logs: logs.logs,
        parent: job.parentKey ?? null,
        worker: job.processedBy ?? null,
      };
    }
  }
  const schedules = major >= 5 ? await queue.getJobSchedulers(0, -1, true) : await queue.getRepeatableJobs(0, -1, true);
  said.schedules = schedules.map((one) => ({
    id: one.key, name: one.name, next: one.next, pattern: one.pattern ?? null, tz: one.tz ?? null,
  }));
  return said;
}
const said = [];
for (const queue of [mail, parts, quiet, swift, empty]) said.push(await judge(queue, 'bull'));
said.push(await judge(odd[0], 'app:prod'));
said.push(await judge(odd[1], '{acme}'));
const active = await mail.getActive();
console.log(JSON.stringify({
  version: major,
  queues: said,
  parent: tree.job.id,
  children: tree.children.map((node) => node.job.id),
  tokens: await Promise.all(active.map((job) => client.get(`bull:mail:${job.id}:lock`))),
}));

process.stdin.resume();
await new Promise((resolve) => process.stdin.once('end', resolve));
release();
process.exit(0);
