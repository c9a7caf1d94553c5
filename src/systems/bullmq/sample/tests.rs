//! `read` against recorded replies.

use super::*;
use crate::domain::ids::InstanceId;
use crate::link::Reply;

fn instance(queues: &[&str]) -> Instance {
    let id = InstanceId { system: "bullmq", name: "bull".into() };
    Instance { id, queues: queues.iter().map(|name| Name::from(*name)).collect() }
}

fn string(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn refused(code: &str, detail: &str) -> Reply {
    Err(CommandError::Refused { code: code.to_owned(), detail: detail.to_owned() })
}

/// Replies to the twelve questions of a first look, as a server sends them.
fn first_look() -> Vec<Reply> {
    let meta = vec![string("bullmq:6.7.0"), Value::Nil, string("3"), string("10"), string("60000"), string("10000")];
    vec![
        Ok(Value::Array(meta)),
        Ok(Value::SimpleString("stream".to_owned())),
        Ok(string("41")),
        Ok(Value::Int(7)),
        Ok(Value::Int(0)),
        Ok(Value::Array(vec![string("40"), string("repeat:x:1")])),
        Ok(Value::Int(2)),
        Ok(Value::Int(3)),
        Ok(Value::Int(1)),
        Ok(Value::Int(20)),
        Ok(Value::Int(5)),
        Ok(string("31")),
    ]
}

fn read_once(memo: &mut Memo, instance: &Instance, replies: &[Reply]) -> Result<InstanceSample, ReadError> {
    memo.tick += 1;
    let mut replies = Replies::new(replies);
    let sample = read(instance, memo, &mut replies);
    if sample.is_ok() {
        assert_eq!(replies.left(), 0, "every reply is read");
    }
    sample
}

#[test]
fn a_first_look_fills_every_count() {
    let mut memo = Memo::default();
    let sample = read_once(&mut memo, &instance(&["mail"]), &first_look()).unwrap();
    let queue = &sample.queues[0];
    let counts: Vec<_> = queue.counts.iter().map(|(state, count)| (state.0, count.value().unwrap())).collect();
    let expected = [
        ("waiting", 7),
        ("prioritized", 2),
        ("active", 2),
        ("delayed", 3),
        ("waiting-children", 1),
        ("completed", 20),
        ("failed", 5),
    ];
    assert_eq!(counts, expected);
    assert_eq!(queue.library_version.as_deref(), Some("6.7.0"));
    assert_eq!(queue.conditions.paused, Some(false));
    assert_eq!(queue.conditions.concurrency, Some(3));
    assert_eq!(queue.conditions.rate_limit, Some((10, Duration::from_secs(60))));
    assert_eq!(queue.active_ids, ["40".into(), "repeat:x:1".into()]);
    assert_eq!(queue.totals.added, Some(41));
    assert_eq!(queue.oldest, Oldest::Unknown);
    assert_eq!((queue.error.as_deref(), queue.warnings.len()), (None, 0));
}

#[test]
fn a_refused_command_makes_its_count_unknown_and_names_the_key() {
    let mut replies = first_look();
    replies[9] = refused("WRONGTYPE", "Operation against a key holding the wrong kind of value");
    let sample = read_once(&mut Memo::default(), &instance(&["mail"]), &replies).unwrap();
    let queue = &sample.queues[0];
    assert_eq!(queue.count(state::COMPLETED), Count::Unknown);
    assert_eq!(queue.count(state::FAILED), Count::Exact(5));
    assert_eq!(queue.totals.finished, None);
    assert!(queue.error.as_deref().unwrap().starts_with("ZCARD bull:mail:completed: WRONGTYPE"), "{:?}", queue.error);
}

#[test]
fn a_reply_of_a_shape_the_command_never_has_is_told() {
    let mut replies = first_look();
    replies[3] = Ok(Value::Array(vec![]));
    let sample = read_once(&mut Memo::default(), &instance(&["mail"]), &replies).unwrap();
    assert_eq!(sample.queues[0].count(state::WAITING), Count::Unknown);
    assert!(sample.queues[0].error.as_deref().unwrap().contains("LLEN bull:mail:wait"));
}

#[test]
fn a_busy_server_leaves_a_queue_unknown_and_asks_everything_again() {
    let mut memo = Memo::default();
    let busy: Vec<Reply> = (0..12).map(|_| refused("BUSY", "Redis is busy running a script")).collect();
    let sample = read_once(&mut memo, &instance(&["mail"]), &busy).unwrap();
    let queue = &sample.queues[0];
    assert!(queue.counts.iter().all(|(_, count)| *count == Count::Unknown));
    assert_eq!((queue.conditions.paused, queue.oldest), (None, Oldest::Unknown));
    assert!(queue.error.as_deref().unwrap().contains("BUSY"));
    let sample = read_once(&mut memo, &instance(&["mail"]), &first_look()).unwrap();
    assert_eq!(sample.queues[0].count(state::WAITING), Count::Exact(7));
}

#[test]
fn bull_and_foreign_keys_are_left_out_without_shifting_the_others() {
    let nothing = |meta: Reply| {
        let mut replies: Vec<Reply> = vec![meta, Ok(Value::SimpleString("none".to_owned()))];
        replies.push(Ok(string("3")));
        replies.extend((0..2).map(|_| Ok(Value::Int(0))));
        replies.push(Ok(Value::Array(vec![])));
        replies.extend((0..5).map(|_| Ok(Value::Int(0))));
        replies.push(Ok(Value::Nil));
        replies
    };
    let bull = nothing(Ok(Value::Array(vec![Value::Nil, string("1"), Value::Nil, Value::Nil, Value::Nil, Value::Nil])));
    let text = nothing(refused("WRONGTYPE", "Operation against a key holding the wrong kind of value"));
    let hidden = {
        let mut replies: Vec<Reply> = Vec::new();
        replies.extend((0..12).map(|_| refused("NOPERM", "No permissions to access a key")));
        replies
    };
    let replies = [bull, text, hidden, first_look()].concat();
    let mut memo = Memo::default();
    let sample = read_once(&mut memo, &instance(&["bull", "hidden", "text", "zebra"]), &replies).unwrap();
    assert_eq!(sample.queues.len(), 1);
    assert_eq!(sample.queues[0].id.name, "zebra".into());
    assert_eq!(sample.queues[0].count(state::WAITING), Count::Exact(7));
}

#[test]
fn too_few_replies_are_an_error_of_the_whole_section() {
    let replies = first_look();
    let result = read_once(&mut Memo::default(), &instance(&["mail"]), &replies[..7]);
    assert!(matches!(result, Err(ReadError::Command(CommandError::Missing))), "{result:?}");
}

#[test]
fn marks_of_4_are_subtracted_wherever_they_are_seen() {
    let mut replies = first_look();
    replies[0] = Ok(Value::Array(vec![
        string("bullmq:4.18.3"),
        Value::Nil,
        Value::Nil,
        Value::Nil,
        Value::Nil,
        string("10000"),
    ]));
    replies[11] = Ok(string("0:0"));
    let mut memo = Memo::default();
    let sample = read_once(&mut memo, &instance(&["mail"]), &replies).unwrap();
    assert_eq!(sample.queues[0].count(state::WAITING), Count::Exact(6));
}

#[test]
fn due_times_are_exact() {
    let millis = 1_795_330_800_123_i64;
    assert_eq!(due((millis * DELAYED_STEP) as f64), Timestamp(millis));
    assert_eq!(due((millis * DELAYED_STEP + 4095) as f64), Timestamp(millis));
}

#[test]
fn workers_are_unknown_rather_than_none_while_jobs_run() {
    let mut memo = Memo { client_names: Some(Arc::from(vec![Name::from("bull:bWFpbA==")])), ..Memo::default() };
    let replies = [first_look(), first_look()].concat();
    let sample = read_once(&mut memo, &instance(&["mail", "other"]), &replies).unwrap();
    let alive: Vec<_> = sample.queues.iter().map(|queue| queue.workers.alive).collect();
    assert_eq!(alive, [Some(1), None], "a running job has a worker, even if none has the usual name");
}
