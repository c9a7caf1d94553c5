//! The demo's plain list: JSON items, one processing list a worker, delayed retries with a mover, a dead-letter list,
//! progress and heartbeat keys. What a person would have to tell qtop about it is in `list.toml`.
//!
//! A second list that nothing describes is there to be offered.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::data::{self, chance};
use super::error::DemoError;
use super::keep_alive;
use crate::domain::described::{Described, ListSpec};

const QUEUE: &str = "audio:jobs";
const DELAYED: &str = "audio:delayed";
const DEAD: &str = "audio:dead";
const ADDED: &str = "audio:count:added";
const FINISHED: &str = "audio:count:finished";
const FAILED: &str = "audio:count:failed";
/// Looks like a queue and is described nowhere.
const UNDESCRIBED: &str = "newsletter:queue";

const WORKERS: [&str; 3] = ["scribe-1", "scribe-2", "scribe-3"];
/// Dead items kept, so that a demo left running stays small.
const KEPT_DEAD: isize = 120;
/// Above this many waiting items the producer rests.
const FULL: u64 = 60;
const HEARTBEAT_TTL_SECONDS: u64 = 15;
const BEAT_EVERY: Duration = Duration::from_secs(4);

/// The description, as the configuration file would give it.
pub(super) fn described() -> Described {
    #[derive(Deserialize)]
    struct File {
        list: Vec<ListSpec>,
    }
    let file: File = toml::from_str(include_str!("list.toml")).expect("the demo's description is tested to be valid");
    Described { lists: file.list, ..Described::default() }
}

/// Seeds both lists and spawns producer, mover and workers.
pub(super) async fn start(url: &str) -> Result<(), DemoError> {
    seed(url).await.map_err(DemoError::seed("list"))?;
    let at = |url: &str| url.to_owned();
    let for_producer = at(url);
    keep_alive("list producer", move || produce(for_producer.clone()));
    let for_mover = at(url);
    keep_alive("list mover", move || move_due(for_mover.clone()));
    for worker in WORKERS {
        let for_worker = at(url);
        keep_alive("list worker", move || work(for_worker.clone(), worker));
    }
    Ok(())
}

/// Opens a connection of its own.
pub(super) async fn connect(url: &str) -> Result<MultiplexedConnection, redis::RedisError> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

/// Milliseconds since the Unix epoch.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

async fn seed(url: &str) -> Result<(), redis::RedisError> {
    let mut connection = connect(url).await?;
    let mut pipeline = Pipeline::new();
    for number in 0..9 {
        let item = data::recording(number, now_ms() - fastrand::u64(1_000..400_000));
        pipeline.lpush(QUEUE, item.to_string()).ignore();
    }
    for number in 100..118 {
        let mut item = data::recording(number, now_ms() - 7_200_000);
        item["attempts"] = json!(3);
        item["last_error"] = json!(data::recording_error());
        item["failed_at"] = json!(now_ms() - fastrand::u64(1_000..3_600_000));
        pipeline.lpush(DEAD, item.to_string()).ignore();
    }
    // Undecodable items are normal in lists that people write to by hand.
    pipeline.lpush(DEAD, &b"not json \xff\x00 at all"[..]).ignore();
    for number in 0..25 {
        pipeline.lpush(UNDESCRIBED, format!("issue-{number}")).ignore();
    }
    pipeline.cmd("INCRBY").arg(ADDED).arg(9).ignore();
    pipeline.query_async(&mut connection).await
}

async fn produce(url: String) -> Result<(), DemoError> {
    let failed = DemoError::seed("list");
    let mut connection = connect(&url).await.map_err(&failed)?;
    loop {
        sleep(Duration::from_millis(fastrand::u64(1_200..3_600))).await;
        let waiting: u64 = redis::cmd("LLEN").arg(QUEUE).query_async(&mut connection).await.map_err(&failed)?;
        if waiting < FULL {
            let number: u64 = redis::cmd("INCR").arg(ADDED).query_async(&mut connection).await.map_err(&failed)?;
            let item = data::recording(1_000 + number, now_ms()).to_string();
            let pushed = redis::cmd("LPUSH").arg(QUEUE).arg(item).query_async::<()>(&mut connection).await;
            pushed.map_err(&failed)?;
        }
    }
}

/// Moves due items back; each in one MULTI, so that none is in both places or in neither.
async fn move_due(url: String) -> Result<(), DemoError> {
    let failed = DemoError::seed("list");
    let mut connection = connect(&url).await.map_err(&failed)?;
    loop {
        sleep(Duration::from_secs(1)).await;
        let mut due = redis::cmd("ZRANGEBYSCORE");
        due.arg(DELAYED).arg("-inf").arg(now_ms()).arg("LIMIT").arg(0).arg(20);
        let items: Vec<Vec<u8>> = due.query_async(&mut connection).await.map_err(&failed)?;
        for item in items {
            let mut both = Pipeline::new();
            both.atomic().cmd("ZREM").arg(DELAYED).arg(&item).ignore().cmd("LPUSH").arg(QUEUE).arg(&item).ignore();
            both.query_async::<()>(&mut connection).await.map_err(&failed)?;
        }
    }
}

/// One worker: takes an item into a list of its own, works, and takes it out again.
async fn work(url: String, name: &'static str) -> Result<(), DemoError> {
    let failed = DemoError::seed("list");
    let mut connection = connect(&url).await.map_err(&failed)?;
    let since = now_ms();
    let processing = format!("audio:processing:{name}");
    // What an earlier run of this worker left behind goes back to the end that is taken next.
    let mut recover = redis::cmd("LMOVE");
    recover.arg(&processing).arg(QUEUE).arg("LEFT").arg("RIGHT");
    while recover.query_async::<Option<Vec<u8>>>(&mut connection).await.map_err(&failed)?.is_some() {}
    let mut beaten = tokio::time::Instant::now() - BEAT_EVERY;
    loop {
        if beaten.elapsed() >= BEAT_EVERY {
            beat(&mut connection, name, since, None).await.map_err(&failed)?;
            beaten = tokio::time::Instant::now();
        }
        // The small development server has no BLMOVE, so an idle worker asks again.
        let mut take = redis::cmd("LMOVE");
        take.arg(QUEUE).arg(&processing).arg("RIGHT").arg("LEFT");
        let taken: Option<Vec<u8>> = take.query_async(&mut connection).await.map_err(&failed)?;
        let Some(bytes) = taken else {
            sleep(Duration::from_millis(300)).await;
            continue;
        };
        let Ok(item) = serde_json::from_slice::<Value>(&bytes) else {
            give_up(&mut connection, &processing, &bytes).await.map_err(&failed)?;
            continue;
        };
        let outcome = transcribe(&mut connection, name, since, &item).await.map_err(&failed)?;
        settle(&mut connection, &processing, &bytes, item, outcome).await.map_err(&failed)?;
        beaten = tokio::time::Instant::now() - BEAT_EVERY;
    }
}

/// Tells that this worker lives and what it works on.
async fn beat(
    connection: &mut MultiplexedConnection,
    name: &str,
    since: u64,
    current: Option<&Value>,
) -> Result<(), redis::RedisError> {
    let value = json!({
        "beat": now_ms(),
        "since": since,
        "current": current,
        "host": "demo",
        "pid": std::process::id(),
    });
    let mut set = redis::cmd("SET");
    set.arg(format!("audio:worker:{name}")).arg(value.to_string()).arg("EX").arg(HEARTBEAT_TTL_SECONDS);
    set.query_async(connection).await
}

/// The work itself: eight steps, told in a progress hash. The inner result is the job's own.
async fn transcribe(
    connection: &mut MultiplexedConnection,
    name: &str,
    since: u64,
    item: &Value,
) -> Result<Result<(), String>, redis::RedisError> {
    let id = &item["id"];
    let progress = format!("audio:progress:{}", id.as_str().unwrap_or_default());
    let steps = ["load", "split", "listen", "listen", "listen", "align", "correct", "store"];
    for (step, text) in steps.iter().enumerate() {
        let mut told = Pipeline::new();
        told.cmd("HSET").arg(&progress).arg("percent").arg(step * 100 / steps.len());
        told.arg("step").arg(step + 1).arg("total").arg(steps.len()).arg("text").arg(text).ignore();
        told.cmd("EXPIRE").arg(&progress).arg(600).ignore();
        told.query_async::<()>(connection).await?;
        beat(connection, name, since, Some(id)).await?;
        sleep(Duration::from_millis(fastrand::u64(300..1_100))).await;
        if step == 4 && chance(25) {
            return Ok(Err(data::recording_error()));
        }
    }
    Ok(Ok(()))
}

/// Puts aside what is no JSON, byte by byte as it is.
async fn give_up(
    connection: &mut MultiplexedConnection,
    processing: &str,
    bytes: &[u8],
) -> Result<(), redis::RedisError> {
    let mut end = Pipeline::new();
    end.atomic().cmd("LREM").arg(processing).arg(1).arg(bytes).ignore();
    end.cmd("LPUSH").arg(DEAD).arg(bytes).ignore();
    end.query_async(connection).await
}

/// Ends an item: done, again later, or given up. One MULTI, so that it is in exactly one place.
async fn settle(
    connection: &mut MultiplexedConnection,
    processing: &str,
    bytes: &[u8],
    mut item: Value,
    outcome: Result<(), String>,
) -> Result<(), redis::RedisError> {
    let mut end = Pipeline::new();
    end.atomic();
    end.cmd("LREM").arg(processing).arg(1).arg(bytes).ignore();
    end.cmd("DEL").arg(format!("audio:progress:{}", item["id"].as_str().unwrap_or_default())).ignore();
    match outcome {
        Ok(()) => {
            end.cmd("INCR").arg(FINISHED).ignore();
        }
        Err(error) => {
            let attempts = item["attempts"].as_u64().unwrap_or(0) + 1;
            item["attempts"] = json!(attempts);
            item["last_error"] = json!(error);
            if attempts < item["max_attempts"].as_u64().unwrap_or(3) {
                let due = now_ms() + 10_000 * attempts;
                end.cmd("ZADD").arg(DELAYED).arg(due).arg(item.to_string()).ignore();
            } else {
                item["failed_at"] = json!(now_ms());
                end.cmd("LPUSH").arg(DEAD).arg(item.to_string()).ignore();
                end.cmd("LTRIM").arg(DEAD).arg(0).arg(KEPT_DEAD - 1).ignore();
                end.cmd("INCR").arg(FINISHED).ignore();
                end.cmd("INCR").arg(FAILED).ignore();
            }
        }
    }
    end.query_async(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_valid_and_names_the_keys_that_are_used() {
        let described = described();
        assert_eq!(described.problems(), []);
        let list = &described.lists[0];
        assert_eq!(list.key.iter().collect::<Vec<_>>(), [QUEUE]);
        assert_eq!(list.delayed.as_ref().map(|delayed| delayed.key.as_str()), Some(DELAYED));
        assert_eq!(list.dead.as_ref().map(|dead| dead.key.iter().collect::<Vec<_>>()), Some(vec![DEAD]));
        assert_eq!(list.expected_workers, Some(WORKERS.len() as u64));
        assert_eq!(list.heartbeat[0].ttl, Some(HEARTBEAT_TTL_SECONDS));
    }
}
