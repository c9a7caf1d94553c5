// One BullMQ version under remote control: each line of standard input is a request in JSON, each line of standard
// output its answer. The tests of changes use it as producer, as worker and as judge.
//
//   node driver.mjs 4|5|6 PORT
import process from 'node:process';
import readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

const [major, port] = process.argv.slice(2).map(Number);
const { Queue, Worker, FlowProducer } = await import(`bullmq${major}`);
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
const client = new Redis(connection);
const queues = new Map();
const workers = new Map();
const runs = [];

const keep = (thing) => {
  thing.on?.('error', (error) => console.error(String(error)));
  return thing;
};
const queueOf = (name) => {
  if (!queues.has(name)) queues.set(name, keep(new Queue(name, { connection })));
  return queues.get(name);
};

async function until(what, ready, limit = 15_000) {
  const end = Date.now() + limit;
  for (;;) {
    const value = await ready();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${limit} ms for ${what}`);
    await sleep(5);
  }
}

const operations = {
  async add({ queue, name, data, opts }) {
    return (await queueOf(queue).add(name, data, opts)).id;
  },
  async addMany({ queue, name, count, opts }) {
    for (let at = 0; at < count; at += 1000) {
      const some = Math.min(1000, count - at);
      await queueOf(queue).addBulk(Array.from({ length: some }, (_, n) => ({ name, data: { n: at + n }, opts })));
    }
    return count;
  },
  async flow({ tree }) {
    const plant = (node) => ({ id: node.job.id, children: (node.children ?? []).map(plant) });
    const producer = keep(new FlowProducer({ connection }));
    const node = await producer.add(tree);
    await producer.close();
    return plant(node);
  },
  async schedule({ queue, id, every, pattern, tz, limit, name, data }) {
    await queueOf(queue).upsertJobScheduler(id, { limit, ...(pattern ? { pattern, tz } : { every }) }, { name, data });
    return true;
  },
  async schedules({ queue }) {
    return (await queueOf(queue).getJobSchedulers()).map((one) => one.key ?? one.id);
  },
  async counts({ queue }) {
    return queueOf(queue).getJobCounts();
  },
  async ids({ queue, state }) {
    return (await queueOf(queue).getJobs([state], 0, -1, true)).map((job) => job.id);
  },
  async job({ queue, id }) {
    const job = await queueOf(queue).getJob(id);
    if (!job) return null;
    return { ...job.toJSON(), state: await job.getState() };
  },
  // A worker that ends jobs by their name: `fail` fails, `wait` holds until told, everything else is done at once.
  async work({ queue, concurrency = 1, opts = {} }) {
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    const worker = keep(new Worker(queue, async (job) => {
      runs.push({ queue, id: job.id, name: job.name, at: Date.now() });
      if (job.name === 'fail') throw new Error(`failed on purpose: ${job.id}`);
      if (job.name === 'wait') await held;
      return { done: job.id };
    }, { connection, concurrency, ...opts }));
    await worker.waitUntilReady();
    workers.set(queue, { worker, release });
    return true;
  },
  async idle({ queue }) {
    // A worker sleeps in one blocking command on its own connection.
    await until(`a sleeping worker of ${queue}`, async () => {
      const list = await client.client('LIST');
      return /cmd=(bzpopmin|brpoplpush|blmove)/.test(list);
    });
    return true;
  },
  async rest({ queue }) {
    const entry = workers.get(queue);
    workers.delete(queue);
    entry.release();
    await entry.worker.close();
    return true;
  },
  async release({ queue }) {
    workers.get(queue).release();
    return true;
  },
  async until({ queue, id, state }) {
    const start = Date.now();
    await until(`${id} of ${queue} to be ${state}`, async () => {
      const job = await queueOf(queue).getJob(id);
      return job ? (await job.getState()) === state : state === 'gone';
    });
    return Date.now() - start;
  },
  async untilCount({ queue, state, count }) {
    await until(`${count} ${state} jobs in ${queue}`, async () => (await queueOf(queue).getJobCounts(state))[state] === count, 120_000);
    return true;
  },
  async runs({ queue }) {
    return runs.filter((run) => run.queue === queue);
  },
  async events({ queue }) {
    const entries = await client.xrange(`bull:${queue}:events`, '-', '+');
    return entries.map(([, fields]) => Object.fromEntries(fields.flatMap((word, n) => (n % 2 ? [] : [[word, fields[n + 1]]]))));
  },
  // The library's own way, to compare with.
  async own({ queue, id, method, args = [] }) {
    const target = id ? await queueOf(queue).getJob(id) : queueOf(queue);
    const begun = Date.now();
    const result = await target[method](...args);
    return { took: Date.now() - begun, result: result === undefined ? null : String(result) };
  },
};

const lines = readline.createInterface({ input: process.stdin });
for await (const line of lines) {
  const request = JSON.parse(line);
  try {
    const answer = await operations[request.op](request);
    process.stdout.write(`${JSON.stringify({ answer })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: String(error?.stack ?? error) })}\n`);
  }
}
process.exit(0);
