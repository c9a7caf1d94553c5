"""One ARQ under remote control: a request is one JSON line on standard input, its answer one line on standard output.

    python arq_driver.py PORT pickle|msgpack|json

Speaks for the real library: as enqueuer, as live worker and as judge of what is in Redis.
"""
import asyncio
import datetime
import decimal
import enum
import json
import pickle
import signal
import sys
import uuid
from dataclasses import dataclass

import msgpack
from arq import Retry, Worker, create_pool
from arq.connections import RedisSettings
from arq.constants import result_key_prefix
from arq.jobs import Job, SerializationError
from arq.worker import async_check_health

PORT, KIND = int(sys.argv[1]), sys.argv[2]
SETTINGS = RedisSettings(port=PORT)


def plain(value):
    """What a serializer without classes makes of an exception: its text."""
    return repr(value)


PAIRS = {
    "pickle": (pickle.dumps, pickle.loads),
    "msgpack": (
        lambda value: msgpack.packb(value, default=plain),
        lambda data: msgpack.unpackb(data, raw=False),
    ),
    "json": (lambda value: json.dumps(value, default=plain).encode(), lambda data: json.loads(data)),
}
DUMPS, LOADS = PAIRS[KIND]


class Colour(enum.Enum):
    RED = 1


@dataclass
class User:
    name: str
    born: datetime.date


class Refused(Exception):
    pass


ran = []


async def note(ctx, *args, **kwargs):
    ran.append([ctx["job_id"], ctx["job_try"], list(args), kwargs])
    return {"noted": len(args)}


async def fail(ctx, *args, **kwargs):
    ran.append([ctx["job_id"], ctx["job_try"], list(args), kwargs])
    if fail.heals:
        return "healed"
    raise Refused("no such mailbox: 550")


fail.heals = False


async def again(ctx, defer=3600):
    ran.append([ctx["job_id"], ctx["job_try"], [defer], {}])
    raise Retry(defer=defer)


async def sleep(ctx, seconds=60):
    ran.append([ctx["job_id"], ctx["job_try"], [seconds], {}])
    await asyncio.sleep(seconds)
    return "slept"


async def mark(ctx, number, file):
    """A side effect that others can count."""
    ran.append([ctx["job_id"], ctx["job_try"], [number], {}])
    with open(file, "a") as out:
        out.write(f"{number}\n")
    await asyncio.sleep(0.05)


RICH = [
    "text",
    7,
    1.5,
    None,
    True,
    datetime.datetime(2026, 11, 22, 13, 5, 9, tzinfo=datetime.timezone.utc),
    datetime.timedelta(hours=26),
    uuid.UUID(int=7),
    decimal.Decimal("1.50"),
    Colour.RED,
    User("ada", datetime.date(1815, 12, 10)),
    {"a": [1, (2, 3)], "b": {"c"}},
    b"\x00\xff",
]


class Driver:
    def __init__(self):
        self.pools = {}
        self.workers = {}

    async def pool(self, queue):
        if queue not in self.pools:
            self.pools[queue] = await create_pool(
                SETTINGS, default_queue_name=queue, job_serializer=DUMPS, job_deserializer=LOADS
            )
        return self.pools[queue]

    async def add(self, queue, function, args=(), kwargs=None, id=None, defer=None, rich=False):
        pool = await self.pool(queue)
        args = RICH if rich else args
        by = None if defer is None else datetime.timedelta(seconds=defer)
        job = await pool.enqueue_job(function, *args, _job_id=id, _defer_by=by, **(kwargs or {}))
        return job and job.job_id

    async def add_many(self, queue, function, count, more=()):
        pool = await self.pool(queue)
        for number in range(count):
            await pool.enqueue_job(function, number, *more, _job_id=f"{function}-{number}")

    async def add_large(self, queue, function, id, size):
        await (await self.pool(queue)).enqueue_job(function, "é" * size, _job_id=id)

    async def argument_size(self, queue, id):
        job = Job(id, await self.pool(queue), _queue_name=queue, _deserializer=LOADS)
        return len((await job.result_info()).args[0])

    async def abort(self, queue, id, seconds=10):
        job = Job(id, await self.pool(queue), _queue_name=queue, _deserializer=LOADS)
        try:
            return await job.abort(timeout=seconds, poll_delay=0.05)
        except SerializationError as error:  # without classes there is no exception to raise
            return repr(error)

    async def successes(self, queue):
        results = await (await self.pool(queue)).all_job_results()
        return sum(result.success and result.queue_name == queue for result in results)

    async def check_health(self, queue):
        return await async_check_health(SETTINGS, None, queue) == 0

    async def work(self, queue, aborts=False, burst=False, health=3600, tries=5, jobs=10):
        worker = Worker(
            functions=[note, fail, again, sleep, mark],
            queue_name=queue,
            redis_settings=SETTINGS,
            job_serializer=DUMPS,
            job_deserializer=LOADS,
            allow_abort_jobs=aborts,
            burst=burst,
            poll_delay=0.1,
            health_check_interval=health,
            max_tries=tries,
            max_jobs=jobs,
            handle_signals=False,
            keep_result=3600,
        )
        if burst:
            await worker.main()
            await worker.close()
            return worker.jobs_complete + worker.jobs_failed
        self.workers[queue] = (worker, asyncio.create_task(worker.main()))

    async def rest(self, queue):
        """Stops a worker as a signal does: what runs is let go of and stays in the queue."""
        worker, task = self.workers.pop(queue)
        worker.handle_sig(signal.SIGUSR1)
        task.cancel()
        await asyncio.gather(task, *worker.tasks.values(), return_exceptions=True)
        worker.tasks.clear()
        await worker.close()

    async def status(self, queue, id):
        job = Job(id, await self.pool(queue), _queue_name=queue, _deserializer=LOADS)
        return (await job.status()).value

    async def result(self, queue, id):
        """The library's reading of a result: how it ended, and with what."""
        pool = await self.pool(queue)
        job = Job(id, pool, _queue_name=queue, _deserializer=LOADS)
        if not await pool.exists(result_key_prefix + id):
            return None
        info = await job.result_info()
        kind = type(info.result)
        return {
            "success": info.success,
            "type": f"{kind.__module__}.{kind.__name__}",
            "text": str(info.result),
            "try": info.job_try,
            "function": info.function,
            "args": repr(info.args),
        }

    async def until(self, queue, id, status, seconds=20):
        for _ in range(int(seconds * 20)):
            if await self.status(queue, id) == status:
                return True
            await asyncio.sleep(0.05)
        raise TimeoutError(f"{id} is {await self.status(queue, id)}, not {status}, after {seconds} s")

    async def definition(self, queue, id):
        info = await Job(id, await self.pool(queue), _queue_name=queue, _deserializer=LOADS).info()
        return info and {"function": info.function, "args": repr(info.args), "kwargs": info.kwargs, "try": info.job_try}

    async def queued(self, queue):
        return [job.job_id for job in await (await self.pool(queue)).queued_jobs(queue_name=queue)]

    async def ran(self):
        return ran

    async def heal(self, on=True):
        fail.heals = on


async def main():
    driver = Driver()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        try:
            answer = await getattr(driver, request.pop("op"))(**request)
            print(json.dumps({"answer": answer}, default=repr), flush=True)
        except Exception as error:  # the one who asked is told
            print(json.dumps({"error": repr(error)}), flush=True)


asyncio.run(main())
