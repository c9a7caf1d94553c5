#!/usr/bin/env python3
"""A worker for qtop's `process` handler: one job a line, one answer a line.

    [[runner.pool.handler]]
    process = ["python3", "worker.py"]

Write functions below and name them after the jobs. Whatever they print is shown by qtop as output of the job.
"""

import json
import sys
import traceback


class Permanent(Exception):
    """Raised by a job that need not be tried again."""


class Later(Exception):
    """Raised by a job that should be tried again after some time: Later("rate limit", "30s")."""


def say(**fields):
    """Tells qtop something; see the table in ../README.md."""
    print(json.dumps(fields), flush=True)


def progress(percent, step=None):
    say(progress=percent, step=step) if step else say(progress=percent)


def count_words(data):
    """An example: {"text": "…"} becomes {"words": n}."""
    if not isinstance(data, dict) or "text" not in data:
        raise Permanent("the job has no text")
    progress(50, "counting")
    return {"words": len(data["text"].split())}


JOBS = {"count_words": count_words}


def run(job):
    work = JOBS.get(job["name"])
    if work is None:
        raise Permanent(f"nobody knows how to do {job['name']!r}")
    return work(job["data"])


def main():
    # Everything that takes long to load belongs before this line.
    say(ready=True)
    # No loop over sys.stdin.buffer.read(): a job must be answered before the next one comes.
    for line in sys.stdin.buffer:
        job = json.loads(line)
        try:
            answer = {"result": run(job)}
        except Permanent as error:
            answer = {"error": str(error), "retry": False}
        except Later as error:
            message, after = error.args
            answer = {"error": message, "retry": after}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}", "stack": traceback.format_exc()}
        say(id=job["id"], **answer)


if __name__ == "__main__":
    main()
