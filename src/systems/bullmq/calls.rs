//! Calling the scripts of BullMQ and of Bull: their arguments, what they answer, and jobs as templates of new ones.

use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::mutation::{NewJob, Outcome};
use crate::link::{Link, Value, cmd};
use crate::systems::record::verdicts;
use crate::systems::{ReadError, SystemError, reply};

/// Taking an id out of a list walks it: 26 ms for a list of 1,000,000 (P15).
pub const NANOS_PER_LISTED: u64 = 26;

/// The library's own script of this name behind the openings that it needs: `own!("bull", "retry")`.
macro_rules! own {
    ($library:literal, $name:literal) => {
        $crate::link::Script::new(concat!(
            include_str!("../forbidden.lua"),
            include_str!("../bullmq/scripts/queue.lua"),
            include_str!("../bullmq/scripts/rights.lua"),
            include_str!(concat!("../", $library, "/scripts/common.lua")),
            include_str!(concat!("../", $library, "/scripts/", $name, ".lua"))
        ))
    };
}

/// A script that is the same for both libraries: `shared!("bull", "edit")`.
macro_rules! shared {
    ($library:literal, $name:literal) => {
        $crate::link::Script::new(concat!(
            include_str!("../forbidden.lua"),
            include_str!("../bullmq/scripts/queue.lua"),
            include_str!("../bullmq/scripts/rights.lua"),
            include_str!(concat!("../", $library, "/scripts/common.lua")),
            include_str!(concat!("../bullmq/scripts/", $name, ".lua"))
        ))
    };
}
pub(in crate::systems) use {own, shared};

/// Arguments of a script that does something to jobs.
pub fn with_ids(first: &[&[u8]], ids: &[JobId]) -> Vec<Vec<u8>> {
    first.iter().map(|word| word.to_vec()).chain(ids.iter().map(|id| id.as_bytes().to_vec())).collect()
}

/// A yes or no as scripts take it.
pub fn flag(on: bool) -> &'static [u8] {
    if on { b"1" } else { b"0" }
}

/// The outcome for a queue as a whole, from one number or a list with one.
pub fn for_queue(queue: &QueueId, reply: Value, why: impl Fn(i64) -> String) -> Outcome {
    let reply = if matches!(reply, Value::Array(_)) { reply } else { Value::Array(vec![reply]) };
    verdicts(&reply, std::slice::from_ref(&queue.name), why)
}

/// Why a queue was not obliterated.
pub fn not_obliterated(code: i64) -> String {
    let why = match code {
        -14 => "it is not paused: pause it first, so that nothing is added or taken meanwhile",
        -15 => "it still has jobs: remove them first, or wait for the active ones",
        _ => "the server gave an answer that is not understood",
    };
    why.to_owned()
}

/// The outcome of an addition, from its number and the id that is there now.
///
/// # Errors
/// The reply is none of such a script.
pub fn added(answer: &Value, why: impl Fn(i64, &Name) -> String) -> Result<Outcome, SystemError> {
    let Some([code, rest @ ..]) = reply::list(answer) else {
        return Err(ReadError::Shape { command: "EVALSHA add", what: format!("{answer:?}") }.into());
    };
    let id = rest.first().and_then(reply::bytes).map(Name::from).unwrap_or_default();
    Ok(match reply::int(code) {
        Some(1) => Outcome { done: vec![id.clone()], created: vec![id], ..Outcome::default() },
        code => Outcome { refused: vec![(id.clone(), why(code.unwrap_or(0), &id))], ..Outcome::default() },
    })
}

/// A stored job, or a scheduler's template, as a new one: the job without its data, which the server copies itself, and
/// its options as they are stored. `None` if it has no name.
pub async fn template(link: &Link, key: Vec<u8>) -> Result<Option<(NewJob, Vec<u8>)>, SystemError> {
    let fields = cmd("HMGET").arg(key).arg(&["name", "opts", "priority"]).to_owned();
    let answer = link.ask(fields).await?;
    let Some([name, options, priority]) = reply::list(&answer) else { return Ok(None) };
    let Some(name) = reply::bytes(name) else { return Ok(None) };
    let job = NewJob {
        name: String::from_utf8_lossy(name).into_owned(),
        priority: reply::int(priority).unwrap_or(0),
        ..NewJob::default()
    };
    Ok(Some((job, reply::bytes(options).unwrap_or(b"{}").to_vec())))
}
