//! Masters and supervisors: who works, and the lists by which they take orders.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::domain::described::Application;
use crate::domain::ids::{InstanceId, Name};
use crate::domain::mutation::Outcome;
use crate::domain::queue::Count;
use crate::domain::text::age;
use crate::domain::time::Timestamp;
use crate::domain::worker::{Liveness, Worker, WorkerOrder};
use crate::link::{Batch, Link, Reply, cmd};
use crate::systems::laravel::jobs::server_time;
use crate::systems::laravel::keys::horizon_prefixes;
use crate::systems::laravel::payload::quoted;
use crate::systems::laravel::plan::one;
use crate::systems::laravel::workers::blank;
use crate::systems::{SystemError, reply};

/// A master beats every second and is gone after so many.
pub const MASTER_SECONDS: i64 = 14;
/// Likewise a supervisor.
pub const SUPERVISOR_SECONDS: i64 = 29;
/// Masters or supervisors that are read.
const MOST: i64 = 100;

/// Prefixes under which Horizon may lie.
pub fn candidates(instance: &InstanceId, application: Option<&Application>) -> Vec<Vec<u8>> {
    match application.and_then(|application| application.horizon_prefix.as_deref()) {
        Some(prefix) => vec![prefix.as_bytes().to_vec()],
        None => horizon_prefixes(instance.name.as_bytes()),
    }
}

/// The application's Horizon, if there is one in this Redis.
pub async fn find(
    link: &Link,
    instance: &InstanceId,
    application: Option<&Application>,
) -> Result<Option<Vec<u8>>, SystemError> {
    let candidates = candidates(instance, application);
    let mut batch = Batch::new();
    for prefix in &candidates {
        batch.ask(one("EXISTS", &[prefix, &b"masters"[..]].concat()));
        batch.ask(one("EXISTS", &[prefix, &b"recent_jobs"[..]].concat()));
    }
    let replies = link.send(&batch).await?;
    let there = |reply: &Reply| reply.as_ref().ok().and_then(reply::count) == Some(1);
    let found = candidates.into_iter().zip(replies.chunks(2)).find(|(_, pair)| pair.iter().any(there));
    Ok(found.map(|(prefix, _)| prefix))
}

/// Masters and supervisors with what they say of themselves.
pub async fn workers(link: &Link, prefix: &[u8], instance: &InstanceId) -> Result<Vec<Worker>, SystemError> {
    let now = server_time(link).await?;
    let mut workers = Vec::new();
    for (set, part, seconds) in
        [("masters", &b"master:"[..], MASTER_SECONDS), ("supervisors", b"supervisor:", SUPERVISOR_SECONDS)]
    {
        let mut range = one("ZRANGE", &[prefix, set.as_bytes()].concat());
        range.arg(0).arg(MOST - 1).arg("WITHSCORES");
        let mut beats = reply::scored(&link.ask(range).await?).unwrap_or_default();
        // By beat they would change places with every second.
        beats.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut batch = Batch::new();
        for (name, _) in &beats {
            let mut fields = one("HMGET", &[prefix, part, name].concat());
            batch.ask(fields.arg("status").arg("pid").arg("environment").arg("processes").arg("options").to_owned());
        }
        let replies = link.send(&batch).await?;
        for ((name, beat), reply) in beats.into_iter().zip(replies) {
            let field = |at: usize| reply.as_ref().ok().and_then(reply::list)?.get(at).and_then(reply::text);
            let beat = Timestamp((beat * 1_000.0) as i64).age(now);
            let kind = if set == "masters" { "master" } else { "supervisor" };
            let alive = beat.as_secs() as i64 <= seconds && field(0).is_some();
            let pools = pools(field(3).as_deref().unwrap_or_default());
            let processes = by_queue(&pools);
            let mut says = vec![format!("Horizon {kind}, beat {} ago", age(beat))];
            says.extend(field(0));
            says.extend(field(2).map(|environment| format!("environment {environment}")));
            if !processes.is_empty() {
                let each: Vec<String> = processes.iter().map(|(queue, count)| format!("{queue} {count}")).collect();
                says.push(format!("processes: {}", each.join(", ")));
            }
            says.extend(field(4).and_then(|options| limits(&options)));
            workers.push(Worker {
                queues: processes.into_keys().map(Name::from).collect(),
                stands_for: Count::Exact(pools.iter().map(|(_, count)| count).sum()),
                paused: field(0).map(|status| status == "paused"),
                state: if alive { Liveness::Live } else { Liveness::Stale },
                heartbeat: Some(beat),
                pid: field(1).and_then(|pid| pid.parse().ok()),
                host: host(&name),
                evidence: says.join("; "),
                ..blank(instance, String::from_utf8_lossy(&name).into_owned())
            });
        }
    }
    Ok(workers)
}

/// `{"redis:default":1,"redis:mail,reports":2}`: the queues of each pool of processes, and how many there are.
pub fn pools(text: &str) -> Vec<(Vec<String>, u64)> {
    let Ok(Json::Object(pools)) = serde_json::from_str::<Json>(text) else { return Vec::new() };
    let pool = |(pool, count): (String, Json)| {
        let queues = pool.split_once(':').map_or(pool.as_str(), |(_, queues)| queues);
        let queues: Vec<String> = queues.split(',').filter(|queue| !queue.is_empty()).map(str::to_owned).collect();
        (queues, count.as_u64().unwrap_or(0))
    };
    pools.into_iter().map(pool).collect()
}

/// Processes by queue. Those that serve several queues count for each.
fn by_queue(pools: &[(Vec<String>, u64)]) -> BTreeMap<&str, u64> {
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    for (queues, count) in pools {
        for queue in queues {
            *found.entry(queue).or_default() += count;
        }
    }
    found
}

/// What a supervisor may do, in its own words.
fn limits(options: &str) -> Option<String> {
    let options: Json = serde_json::from_str(options).ok()?;
    let word = |name: &str| match options.get(name)? {
        Json::Null | Json::Bool(false) => None,
        Json::String(text) if text.is_empty() => None,
        Json::String(text) => Some(format!("{name} {text}")),
        other => Some(format!("{name} {other}")),
    };
    let words: Vec<String> = ["balance", "maxProcesses", "timeout"].into_iter().filter_map(word).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Names begin with the host and four random letters: `web-1-x7Kp` or `web-1-x7Kp:supervisor-1`.
fn host(name: &[u8]) -> Option<String> {
    let name = String::from_utf8_lossy(name);
    let master = name.split(':').next()?;
    master.rsplit_once('-').map(|(host, _)| host.to_owned()).filter(|host| !host.is_empty())
}

/// Puts an order into the lists of masters or supervisors; their loops look there once a second.
pub async fn order(link: &Link, prefix: &[u8], order: WorkerOrder, names: &[Name]) -> Result<Outcome, SystemError> {
    let class = match order {
        WorkerOrder::Pause => "Pause",
        WorkerOrder::Continue => "ContinueWorking",
        WorkerOrder::Restart => "Restart",
        WorkerOrder::Terminate => "Terminate",
    };
    let text =
        format!("{{\"command\":{},\"options\":[]}}", quoted(&format!("Laravel\\Horizon\\SupervisorCommands\\{class}")));
    let all;
    let names = if names.is_empty() {
        let value = link.ask(cmd("ZRANGE").arg([prefix, b"masters"].concat()).arg(0).arg(MOST - 1).to_owned()).await?;
        all = reply::names(&value).unwrap_or_default().into_iter().map(Name::from).collect::<Vec<_>>();
        &all
    } else {
        names
    };
    let mut outcome = Outcome::default();
    for name in names {
        let known = async |set: &[u8]| {
            let ask = one("ZSCORE", &[prefix, set].concat()).arg(name.as_bytes()).to_owned();
            Ok::<_, SystemError>(reply::float(&link.ask(ask).await?).is_some())
        };
        let list = if known(b"masters").await? {
            [prefix, b"commands:master:", name.as_bytes()].concat()
        } else if known(b"supervisors").await? {
            [prefix, b"commands:", name.as_bytes()].concat()
        } else {
            outcome.refused.push((name.clone(), "Horizon has no master or supervisor of that name now".to_owned()));
            continue;
        };
        link.ask(one("RPUSH", &list).arg(&text).to_owned()).await?;
        outcome.done.push(name.clone());
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_told_by_queue() {
        let found = pools(r#"{"redis:default":1,"redis:mail,reports":2,"odd":"x"}"#);
        let pairs: Vec<(&str, u64)> = by_queue(&found).into_iter().collect();
        assert_eq!(pairs, [("default", 1), ("mail", 2), ("odd", 0), ("reports", 2)]);
        assert!(pools("nonsense").is_empty() && pools("[]").is_empty());
        assert_eq!(host(b"web-1-x7Kp:supervisor-1").as_deref(), Some("web-1"));
        assert_eq!(
            limits(r#"{"balance":"auto","maxProcesses":10,"timeout":60,"name":"x"}"#).as_deref(),
            Some("balance auto, maxProcesses 10, timeout 60")
        );
    }
}
