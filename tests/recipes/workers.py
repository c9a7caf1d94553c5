"""Workers of the deployments that the recipes are for, written after their conventions: they take what is in Redis as
the applications do and write down in the list `ran` what they did.

    python workers.py PORT whatsapp|dump|dump-lists|messages|delivery

Each ends when nothing has been left to do for a second.
"""
import asyncio
import datetime
import json
import os
import sys
import time

import redis
from arq import Worker
from arq.connections import RedisSettings

PORT = int(sys.argv[1])
IDLE = 1.0
client = redis.Redis(port=PORT, decode_responses=True)


def note(what, **more):
    client.rpush("ran", json.dumps({"what": what, **more}))


# --- ARQ with deduplication and dead letters ---


async def send_whatsapp_message(ctx, to, content, retry=None, urgent=False):
    key = ctx["job_id"]
    if await ctx["redis"].exists(f"job_processed:{key}"):
        return {"status": "already_processed", "job_key": key}
    note("send", id=key, to=to, content=content, urgent=urgent)
    await ctx["redis"].set(f"job_processed:{key}", "1", ex=3600)
    return {"status": "success", "job_key": key}


async def download_content(ctx, url):
    note("download", id=ctx["job_id"], url=url)
    return {"status": "success"}


# --- firmware dumps over ARQ: steps, owner, cancel flag ---

P = "dumpyarabot:"
STEPS = 25


async def process_firmware_dump(ctx, job_data):
    """Catches everything, as the bot does: a job that was called off or failed is a success for ARQ."""
    key, pool = job_data["job_id"], ctx["redis"]
    owner = {"worker_id": "arq@12345678", "pid": os.getpid(), "start_time": 1, "boot_id": "b"}
    await pool.set(f"{P}running_job:{key}", json.dumps(owner), ex=7500)
    history, status, error = [], "completed", None
    for step in range(1, STEPS + 1):
        if await pool.exists(f"{P}cancel_requested:{key}"):
            status, error = "cancelled", "called off by an operator"
            break
        percent = step * 100 // STEPS
        history.append({"message": f"Step no. {step}", "percentage": percent, "current_step_number": step})
        shown = f"v1\n{percent}\n{int(time.time())}\n*Step no. {step}*\n{percent}% (Step {step}/{STEPS})"
        await pool.set(f"{P}job_status_text:{key}", shown, ex=1_296_000)
        await asyncio.sleep(job_data.get("pause", 0.01))
    await pool.delete(f"{P}running_job:{key}")
    note(status, id=key, steps=len(history))
    metadata = {"status": status, "progress_history": history}
    if error:
        metadata["error_context"] = {"message": error}
    return {"success": status == "completed", "error": error, "metadata": metadata}


async def arq_worker(queue, functions):
    worker = Worker(
        functions=functions,
        queue_name=queue,
        redis_settings=RedisSettings(port=PORT),
        burst=True,
        poll_delay=0.1,
        max_tries=3,
        handle_signals=False,
        health_check_interval=30,
    )
    await worker.main()
    await worker.close()


# --- the older dumps: ids in a list, records beside it ---


def dump_lists():
    name, idle = "w-live", time.time()
    while time.time() - idle < IDLE:
        taken = client.brpop(f"{P}job_queue", timeout=1)
        if taken is None:
            continue
        key = taken[1]
        record = json.loads(client.get(f"{P}job:{key}") or "null")
        if record is None:
            continue
        client.set(f"{P}worker:{name}", key, ex=300)
        note("dump", id=key, was=record["status"])
        record["status"] = "completed"
        record["completed_at"] = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None).isoformat()
        client.set(f"{P}job:{key}", json.dumps(record))
        idle = time.time()


def messages():
    idle = time.time()
    while time.time() - idle < IDLE:
        for priority in ("urgent", "high", "normal", "low"):
            taken = client.rpop(f"{P}msg_queue:{priority}")
            if taken:
                note("message", id=json.loads(taken)["message_id"], list=priority)
                idle = time.time()
                break
        else:
            time.sleep(0.05)


# --- the delivery worker: what cannot be delivered goes back with one attempt more ---


def delivery():
    idle = time.time()
    while time.time() - idle < IDLE:
        taken = client.brpop("message_queue", timeout=1)
        if taken is None:
            continue
        item = json.loads(taken[1])
        if item.get("payload", {}).get("broken"):
            item["attempts"] = item.get("attempts", 0) + 1
            item["last_error"] = "502"
            client.lpush("message_queue", json.dumps(item))
            note("failed", id=item["id"], attempts=item["attempts"])
            if item["attempts"] >= 3:
                return
        else:
            note("delivered", id=item.get("id"), attempts=item.get("attempts", 0))
        idle = time.time()


match sys.argv[2]:
    case "whatsapp":
        asyncio.run(arq_worker("arq:queue", [send_whatsapp_message, download_content]))
    case "dump":
        asyncio.run(arq_worker(f"{P}arq_jobs", [process_firmware_dump]))
    case "dump-lists":
        dump_lists()
    case "messages":
        messages()
    case "delivery":
        delivery()
