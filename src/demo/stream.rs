//! The demo's stream with two consumer groups: one that keeps up, and one that falls behind and catches up in turns,
//! and now and then forgets to acknowledge.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use tokio::time::sleep;

use super::data::{chance, one_of};
use super::error::DemoError;
use super::{keep_alive, list};

const STREAM: &str = "events:clicks";
const FAST: &str = "analytics";
const SLOW: &str = "archive";
/// About so many entries are kept.
const KEPT: u64 = 1_000;

/// Creates stream and groups and spawns producer and consumers; false if the server has no consumer groups.
pub(super) async fn start(url: &str) -> Result<bool, DemoError> {
    let failed = DemoError::seed("stream");
    let mut connection = list::connect(url).await.map_err(&failed)?;
    for group in [FAST, SLOW] {
        let mut create = redis::cmd("XGROUP");
        create.arg("CREATE").arg(STREAM).arg(group).arg("0").arg("MKSTREAM");
        match create.query_async::<()>(&mut connection).await {
            Ok(()) => {}
            Err(error) if error.to_string().to_lowercase().contains("unknown command") => return Ok(false),
            Err(error) => return Err(failed(error)),
        }
    }
    for _ in 0..30 {
        add(&mut connection).await.map_err(&failed)?;
    }
    let for_producer = url.to_owned();
    keep_alive("stream producer", move || produce(for_producer.clone()));
    for (group, consumer, pause_ms) in [(FAST, "counter-1", 150), (FAST, "counter-2", 250), (SLOW, "writer-1", 700)] {
        let for_consumer = url.to_owned();
        keep_alive("stream consumer", move || consume(for_consumer.clone(), group, consumer, pause_ms));
    }
    Ok(true)
}

async fn add(connection: &mut MultiplexedConnection) -> Result<(), redis::RedisError> {
    let mut add = redis::cmd("XADD");
    add.arg(STREAM).arg("MAXLEN").arg("~").arg(KEPT).arg("*");
    add.arg("page").arg(one_of(&["/", "/basket", "/checkout", "/help"]));
    add.arg("user").arg(fastrand::u32(..5_000)).arg("ms").arg(fastrand::u16(20..900));
    add.query_async(connection).await
}

async fn produce(url: String) -> Result<(), DemoError> {
    let failed = DemoError::seed("stream");
    let mut connection = list::connect(&url).await.map_err(&failed)?;
    loop {
        // Comes in waves: half a minute busy, half a minute calm.
        for pause_ms in [350, 1_400] {
            for _ in 0..30_000 / pause_ms {
                add(&mut connection).await.map_err(&failed)?;
                sleep(Duration::from_millis(pause_ms)).await;
            }
        }
    }
}

async fn consume(url: String, group: &str, consumer: &str, pause_ms: u64) -> Result<(), DemoError> {
    let failed = DemoError::seed("stream");
    let mut connection = list::connect(&url).await.map_err(&failed)?;
    // What an earlier run of this consumer took and did not acknowledge comes first, then what is new.
    let mut from = "0".to_owned();
    loop {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(group).arg(consumer).arg("COUNT").arg(1).arg("BLOCK").arg(2_000);
        read.arg("STREAMS").arg(STREAM).arg(&from);
        let reply: Option<StreamReadReply> = read.query_async(&mut connection).await.map_err(&failed)?;
        let entries = reply.map(|reply| reply.keys).unwrap_or_default().into_iter().flat_map(|key| key.ids);
        let mut empty = true;
        for entry in entries {
            empty = false;
            sleep(Duration::from_millis(pause_ms)).await;
            if from != ">" {
                from = entry.id.clone();
            }
            if group == FAST || !chance(4) {
                let mut done = redis::cmd("XACK");
                done.arg(STREAM).arg(group).arg(&entry.id);
                done.query_async::<()>(&mut connection).await.map_err(&failed)?;
            }
        }
        if empty {
            from = ">".to_owned();
        }
    }
}
