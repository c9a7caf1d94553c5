// Bull 3 or 4 under remote control, the library before BullMQ: each line of standard input is a request in JSON, each
// line of standard output its answer.
//
//   node bull.mjs 3|4 PORT
import { createRequire } from 'node:module';
import process from 'node:process';
import readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const [major, port] = process.argv.slice(2).map(Number);
const Queue = createRequire(import.meta.url)(major === 3 ? 'bull3' : 'bull');
const redis = { host: '127.0.0.1', port };
const queues = new Map();
const workers = new Map();
const runs = [];

const open = (name) => {
  const queue = new Queue(name, { redis });
  queue.on('error', (error) => console.error(String(error)));
  return queue;
};
const queueOf = (name) => {
  if (!queues.has(name)) queues.set(name, open(name));
  return queues.get(name);
};

async function until(what, ready, limit = 20_000) {
  const end = Date.now() + limit;
  while (!(await ready())) {
    if (Date.now() > end) throw new Error(`waited ${limit} ms for ${what}`);
    await sleep(5);
  }
}

const operations = {
  async add({ queue, name, data, opts }) {
    return String((await queueOf(queue).add(name, data, opts)).id);
  },
  async counts({ queue }) {
    return queueOf(queue).getJobCounts();
  },
  async repeatables({ queue }) {
    return queueOf(queue).getRepeatableJobs();
  },
  async isPaused({ queue }) {
    return queueOf(queue).isPaused();
  },
  async ids({ queue, state }) {
    return (await queueOf(queue).getJobs([state], 0, -1, true)).map((job) => String(job.id));
  },
  async job({ queue, id }) {
    const job = await queueOf(queue).getJob(id);
    return job ? { ...job.toJSON(), state: await job.getState() } : null;
  },
  // A worker that ends jobs by their name: `fail` fails, `wait` holds until told, everything else is done at once.
  async work({ queue }) {
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    const worker = open(queue);
    worker.process('*', async (job) => {
      runs.push({ queue, id: String(job.id), name: job.name, data: job.data });
      if (job.name === 'fail') throw new Error(`failed on purpose: ${job.id}`);
      if (job.name === 'wait') await held;
      return { done: String(job.id) };
    });
    await worker.isReady();
    workers.set(queue, { worker, release });
    return true;
  },
  async rest({ queue }) {
    const entry = workers.get(queue);
    workers.delete(queue);
    entry.release();
    await entry.worker.close();
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
  async runs({ queue }) {
    return runs.filter((run) => run.queue === queue);
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  try {
    process.stdout.write(`${JSON.stringify({ answer: await operations[request.op](request) })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: String(error?.stack ?? error) })}\n`);
  }
}
process.exit(0);
