"""ARQ's own worker over a queue that is filled already: prints jobs a second.

    python arq_drain.py PORT CONCURRENCY JOBS

It looks for jobs every 10 ms: with the library's own half second it would mostly wait.
"""
import asyncio
import logging
import sys
import time

from arq import Worker
from arq.connections import RedisSettings

port, concurrency, jobs = map(int, sys.argv[1:4])


async def noop(ctx, number):
    return None


async def main():
    logging.disable(logging.CRITICAL)
    worker = Worker(
        functions=[noop],
        queue_name="arq:bench",
        redis_settings=RedisSettings(port=port),
        max_jobs=concurrency,
        poll_delay=0.01,
        burst=True,
        handle_signals=False,
    )
    began = time.perf_counter()
    await worker.main()
    took = time.perf_counter() - began
    assert worker.jobs_complete == jobs, f"{worker.jobs_complete} of {jobs} jobs"
    print(round(jobs / took))


asyncio.run(main())
