//! The demo's ARQ queue, whose jobs qtop runs itself: what `[[runner.pool]]` would say about it is in `pool.toml`.
//!
//! Definitions are written as the library does with JSON as its serializer (arq 0.28, `serialize_job`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::Pipeline;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::data::{chance, one_of};
use super::error::DemoError;
use super::{keep_alive, list};

const QUEUE: &str = "arq:queue";
/// How long a definition outlives the moment at which its job is due, as the library has it.
const LIFE_MS: u64 = 86_400_000;
/// Above this many unfinished jobs the producer rests.
const FULL: u64 = 25;

/// The pools, as the configuration file would give them.
pub(super) const POOL: &str = include_str!("pool.toml");

/// Adds some jobs and spawns the producer.
pub(super) async fn start(url: &str) -> Result<(), DemoError> {
    let failed = DemoError::seed("ARQ");
    let mut connection = list::connect(url).await.map_err(&failed)?;
    for _ in 0..6 {
        add(&mut connection).await.map_err(&failed)?;
    }
    let for_producer = url.to_owned();
    keep_alive("ARQ producer", move || produce(for_producer.clone()));
    Ok(())
}

async fn produce(url: String) -> Result<(), DemoError> {
    let failed = DemoError::seed("ARQ");
    let mut connection = list::connect(&url).await.map_err(&failed)?;
    loop {
        sleep(Duration::from_millis(fastrand::u64(1_200..3_200))).await;
        let unfinished: u64 = redis::cmd("ZCARD").arg(QUEUE).query_async(&mut connection).await.map_err(&failed)?;
        if unfinished < FULL {
            add(&mut connection).await.map_err(&failed)?;
        }
    }
}

async fn add(connection: &mut MultiplexedConnection) -> Result<(), redis::RedisError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let wait = if chance(15) { fastrand::u64(5_000..40_000) } else { 0 };
    let (function, arguments) = ticket();
    let id = format!("{:032x}", fastrand::u128(..));
    let definition = json!({ "t": null, "f": function, "a": [], "k": arguments, "et": now }).to_string();
    let mut both = Pipeline::new();
    both.atomic();
    both.cmd("SET").arg(format!("arq:job:{id}")).arg(definition).arg("PX").arg(wait + LIFE_MS).ignore();
    both.cmd("ZADD").arg(QUEUE).arg(now + wait).arg(&id).ignore();
    both.query_async(connection).await
}

/// A function and its named arguments.
fn ticket() -> (&'static str, Value) {
    let function = one_of(&["render_poster", "send_ticket", "send_ticket", "send_reminder"]);
    (
        function,
        json!({ "concert": fastrand::u32(100..140), "seat": fastrand::u32(1..40), "to": one_of(&["ada", "grace"]) }),
    )
}
