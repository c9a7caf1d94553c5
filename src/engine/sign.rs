//! The sign of life of a whole runner: how it is given, and how every qtop reads those of all runners.
//!
//! Two keys hold it. `qtop:runner:NAME` expires by itself and answers other runners whether this one lives. The sorted
//! set `qtop:runners` holds the latest sign of each runner by the server's clock, so that one look finds them all without
//! a search; a runner that was killed stays in it for a while, and tells on which machine it ran.

use std::time::Duration;

use serde::Serialize;

use crate::domain::address::parse_full;
use crate::domain::ids::{Name, QueueId, SystemName};
use crate::domain::time::Timestamp;
use crate::domain::worker::RunnerPool;
use crate::link::{Batch, Link, LinkError, Reply, Script, Value, cmd};
use crate::systems::reply;

/// Between two signs of a runner that runs something, and how long one holds.
pub const SIGN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(25));
/// The same for one that runs nothing, so that it sends less than a command a second (F7).
pub const IDLE: Duration = Duration::from_secs(10);
/// A runner that ended without a word is told of for so long.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Signs of all runners, by the ms at which they were given.
const ALL: &str = "qtop:runners";
/// Most runners that are told of, the latest signs first.
const RUNNERS: usize = 100;
/// Most pools told of in one sign, and of all runners together.
const POOLS: (usize, usize) = (200, 500);
/// A longer sign is none of qtop's.
const BYTES: u64 = 128 * 1024;
/// Longest name of a machine or runner.
const NAME: usize = 256;

/// Puts one sign in the place of the runner's earlier ones.
static PUT: Script = Script::new(include_str!("sign.lua"));

/// The key that is there while a runner lives.
pub fn key(runner: &str) -> String {
    format!("qtop:runner:{runner}")
}

/// What a runner says of itself.
#[derive(Serialize)]
pub struct Sign<'a> {
    /// Its unique name. It stands first: by the beginning a sign is known as this runner's.
    pub name: &'a str,
    /// The machine; empty if it is not known.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// The name its connections have.
    pub client: String,
    /// When it started, ms by its own clock.
    pub since: i64,
    /// Its pools.
    pub pools: Vec<PoolSign>,
}

/// What a runner says of one pool.
#[derive(Serialize)]
pub struct PoolSign {
    /// Full address.
    pub queue: String,
    /// As who it takes jobs.
    pub worker: String,
    /// What it does.
    pub state: &'static str,
    /// Jobs it may run at once.
    pub concurrency: usize,
    /// Jobs it runs.
    pub active: usize,
    /// Jobs that succeeded.
    pub done: u64,
    /// Jobs it gave up.
    pub failed: u64,
}

/// Every sign of this runner begins so.
fn start(name: &str) -> String {
    format!("{{\"name\":{},", serde_json::Value::from(name))
}

/// Gives a sign. Both keys at once, so that it costs one turn.
pub async fn give(link: &Link, mut sign: Sign<'_>) -> Result<(), LinkError> {
    sign.pools.truncate(POOLS.0);
    let text = serde_json::to_string(&sign).expect("plain strings and numbers");
    let mut set = cmd("SET");
    set.arg(key(sign.name)).arg(&text).arg("PX").arg(SIGN.1.as_millis() as u64);
    let (one, all) = tokio::join!(link.ask(set), put(link, sign.name, &text));
    one.and(all).map(drop)
}

/// Takes the signs of a runner away.
pub async fn take_back(link: &Link, name: &str) -> Result<(), LinkError> {
    let (one, all) = tokio::join!(link.ask(cmd("DEL").arg(key(name)).to_owned()), put(link, name, ""));
    one.and(all).map(drop)
}

async fn put(link: &Link, name: &str, text: &str) -> Result<Value, LinkError> {
    PUT.run(link, &[ALL], &[start(name), text.to_owned(), FORGOTTEN.as_millis().to_string()]).await
}

/// A runner, as its last sign tells of it. Anybody may write a sign: what makes no sense is left out, and no text is
/// longer than a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Runner {
    /// Its unique name.
    pub name: String,
    /// The machine.
    pub host: Option<String>,
    /// Its process.
    pub pid: Option<u64>,
    /// The name its connections have.
    pub client: Option<String>,
    /// When it started, by its own clock.
    pub since: Option<Timestamp>,
    /// Age of the sign.
    pub age: Duration,
    /// Its pools.
    pub pools: Vec<PoolSeen>,
}

/// One of a runner's pools.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSeen {
    /// Where it works.
    pub queue: QueueId,
    /// As who it takes jobs.
    pub worker: Name,
    /// What it tells.
    pub tells: RunnerPool,
}

impl Runner {
    /// It lives, as far as its sign tells.
    pub fn is_live(&self) -> bool {
        self.age <= SIGN.1
    }
}

/// Asks for the signs of all runners, in one turn.
pub async fn read(link: &Link, systems: &[SystemName]) -> Result<Vec<Runner>, LinkError> {
    let mut batch = Batch::new();
    let range = cmd("ZREVRANGE").arg(ALL).arg(0).arg(RUNNERS - 1).arg("WITHSCORES").to_owned();
    batch.ask(cmd("TIME")).ask(range);
    Ok(understand(&link.send(&batch).await?, systems))
}

/// Runners in the order of their signs, the latest first. A user who may not read the key learns of none.
fn understand(replies: &[Reply], systems: &[SystemName]) -> Vec<Runner> {
    let [Ok(time), Ok(signs)] = replies else { return Vec::new() };
    let Some(now) = moment(time) else { return Vec::new() };
    let mut runners: Vec<Runner> = Vec::new();
    let mut room = POOLS.1;
    for (text, total, score) in reply::scored_sized(signs).unwrap_or_default() {
        let at = Timestamp(score as i64);
        let age = at.age(now);
        // One from the future is as wrong as one that nobody took away.
        if total > BYTES || age > FORGOTTEN || at.until(now) > SIGN.1 {
            continue;
        }
        let Some(mut runner) = runner(text, age, systems) else { continue };
        if runners.iter().all(|other| other.name != runner.name) {
            runner.pools.truncate(room);
            room -= runner.pools.len();
            runners.push(runner);
        }
    }
    runners
}

fn moment(time: &Value) -> Option<Timestamp> {
    let [seconds, micros] = reply::list(time)? else { return None };
    Some(Timestamp(reply::int(seconds)?.saturating_mul(1000) + reply::int(micros)? / 1000))
}

fn runner(text: &[u8], age: Duration, systems: &[SystemName]) -> Option<Runner> {
    let told: serde_json::Value = serde_json::from_slice(text).ok()?;
    let short = |value: &serde_json::Value| {
        value.as_str().filter(|text| !text.is_empty() && text.len() <= NAME).map(str::to_owned)
    };
    let name = short(&told["name"])?;
    let pool = |pool: &serde_json::Value| {
        Some(PoolSeen {
            queue: parse_full(pool["queue"].as_str()?, systems)?,
            worker: Name::from(short(&pool["worker"])?),
            tells: RunnerPool {
                runner: name.clone(),
                state: pool["state"].as_str().and_then(|state| state.parse().ok()),
                slots: pool["concurrency"].as_u64(),
                busy: pool["active"].as_u64(),
            },
        })
    };
    let pools = told["pools"].as_array()?.iter().take(POOLS.0).filter_map(pool).collect();
    Some(Runner {
        host: short(&told["host"]),
        pid: told["pid"].as_u64(),
        client: short(&told["client"]),
        since: told["since"].as_i64().map(Timestamp),
        age,
        pools,
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::runner::PoolState;

    fn signs(signs: &[(&str, f64)]) -> Vec<Runner> {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let flat = signs.iter().flat_map(|(text, at)| [bulk(text), bulk(&at.to_string())]).collect();
        let time = Value::Array(vec![bulk("1000"), bulk("0")]);
        understand(&[Ok(time), Ok(Value::Array(flat))], &["list"])
    }

    #[test]
    fn each_runner_is_read_once_by_its_latest_sign() {
        let pools = r#"[{"queue":"list@:mail","worker":"a-1","state":"paused","concurrency":5,"active":3},
                        {"queue":"other@:mail","worker":"a-2"}]"#;
        let text = format!(r#"{{"name":"a","host":"box","pid":7,"client":"qtop:x","since":5,"pools":{pools}}}"#);
        let found = signs(&[(&text, 998_000.0), (r#"{"name":"a","pools":[]}"#, 900_000.0)]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].age, found[0].is_live(), found[0].pid), (Duration::from_secs(2), true, Some(7)));
        let pool = PoolSeen {
            queue: QueueId::new("list", "", "mail"),
            worker: "a-1".into(),
            tells: RunnerPool { runner: "a".to_owned(), state: Some(PoolState::Paused), slots: Some(5), busy: Some(3) },
        };
        assert_eq!(found[0].pools, [pool], "a system nobody knows here is left out");
    }

    #[test]
    fn s6_a_sign_that_makes_no_sense_is_left_out_and_what_it_does_not_say_is_unknown() {
        let long = format!(r#"{{"name":"{}","pools":[]}}"#, "n".repeat(300));
        let huge = format!(r#"{{"name":"h","pools":[],"x":"{}"}}"#, "x".repeat(BYTES as usize));
        let at = 999_000.0;
        let wrong = [(long.as_str(), at), (&huge, at), ("{", at), ("[]", at), (r#"{"name":7,"pools":[]}"#, at)];
        assert_eq!(signs(&wrong), []);
        let sane = r#"{"name":"a","pools":[]}"#;
        for at in [f64::INFINITY, f64::NEG_INFINITY, 1e300, 300_000.0, 1_030_000.0] {
            assert_eq!(signs(&[(sane, at)]), [], "{at}");
        }
        let odd = r#"{"name":"a","host":5,"pid":-1,"since":"x","pools":[7,{"queue":"list@:q","worker":"w","state":"x","active":"3"}]}"#;
        let found = signs(&[(odd, at)]);
        let (runner, pool) = (&found[0], &found[0].pools[0].tells);
        assert_eq!((&runner.host, runner.pid, runner.since), (&None, None, None));
        assert_eq!((pool.state, pool.slots, pool.busy), (None, None, None));
    }
}
