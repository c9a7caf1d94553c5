#!/usr/bin/env node
// A worker for qtop's `process` handler: one job a line, one answer a line.
//
//     [[runner.pool.handler]]
//     process = ["node", "worker.mjs"]
//
// Write functions below and name them after the jobs. Whatever they print is shown by qtop as output of the job.

import { createInterface } from "node:readline";

/** Thrown by a job that need not be tried again. */
class Permanent extends Error {}

/** Tells qtop something; see the table in ../README.md. */
const say = (fields) => process.stdout.write(JSON.stringify(fields) + "\n");

const progress = (percent, step) => say(step ? { progress: percent, step } : { progress: percent });

const jobs = {
  /** An example: {"text": "…"} becomes {"words": n}. */
  async count_words(data) {
    if (typeof data?.text !== "string") throw new Permanent("the job has no text");
    progress(50, "counting");
    return { words: data.text.split(/\s+/).filter(Boolean).length };
  },
};

async function run(job) {
  if (!Object.hasOwn(jobs, job.name)) throw new Permanent(`nobody knows how to do ${job.name}`);
  return (await jobs[job.name](job.data)) ?? null;
}

// Everything that takes long to load belongs before this line.
say({ ready: true });
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const job = JSON.parse(line);
  try {
    say({ id: job.id, result: await run(job) });
  } catch (error) {
    const answer = { id: job.id, error: error.message ?? String(error), stack: error.stack };
    say(error instanceof Permanent ? { ...answer, retry: false } : answer);
  }
}
