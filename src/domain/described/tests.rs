use serde::Deserialize;

use super::*;
use crate::domain::time::Timestamp;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    list: Vec<ListSpec>,
}

fn read(toml: &str) -> Described {
    let file: File = toml::from_str(toml).unwrap();
    Described { lists: file.list, ..Described::default() }
}

/// A worker that takes from the right, waits and pushes again, with a reliable variant beside it.
const MESSAGE_QUEUE: &str = r#"
[[list]]
name = "message_queue"
key = "message_queue"
next = "right"
item = "json"
expected_workers = 2
max_attempts = 10000
processing_pattern = "message_queue:processing:*"
dead = "message_queue:dead"

[list.fields]
id = ["id", "message_id"]
name = "type"
attempts = "attempts"
attempts_max = "max_attempts"
created = { path = "created_at", unit = "s" }
error = "last_error"

[[list.heartbeat]]
pattern = "message_queue:worker:*"
kind = "json"
ttl = 30
stale_after = 30
item = "current"

[list.counters]
finished = "message_queue:processed"
"#;

/// A bot: ids with records, four lists by urgency, a sorted set that nobody empties, heartbeats only at taking a job.
const BOT: &str = r#"
[[list]]
name = "dumps"
key = "dumpyarabot:job_queue"
item = "id"
record = { key = "dumpyarabot:job:{id}" }

[list.fields]
name = "metadata.job_type"
created = "created_at"
started = "started_at"
finished = "completed_at"
status = "status"
worker = "worker_id"
error = ["error_details", "progress.error_message"]
percent = "progress.percentage"
step = "progress.current_step_number"
total = "progress.total_steps"
text = "progress.current_step"

[[list.heartbeat]]
pattern = "dumpyarabot:worker:*"
kind = "id"
ttl = 300
renewed = false

[[list]]
name = "messages"
key = ["dumpyarabot:msg_queue:urgent", "dumpyarabot:msg_queue:high", "dumpyarabot:msg_queue:normal"]
delayed = { key = "dumpyarabot:delayed_messages", unit = "s", mover = false }
dead = { key = "dumpyarabot:dead_letter_queue", newest = "left" }

[list.fields]
id = "message_id"
name = "type"
attempts = "retry_count"
attempts_max = "max_retries"
created = "created_at"
due = "scheduled_for"
"#;

/// Only dead letters: ids in a list, the facts in hashes.
const DEAD_LETTERS: &str = r#"
[[list]]
name = "whatsapp"
servers = "prod"

[list.dead]
key = "dead_letter_queue"
item = "id"
record = { key = "dlq:{id}", kind = "hash" }
fields = { name = "error_type", error = "error_message", finished = { path = "timestamp", unit = "iso" } }
"#;

#[test]
fn real_deployments_can_be_described() {
    for toml in [MESSAGE_QUEUE, BOT, DEAD_LETTERS] {
        let described = read(toml);
        assert_eq!(described.problems(), [], "in {toml}");
        let again = toml::to_string(&std::collections::BTreeMap::from([("list", &described.lists)])).unwrap();
        assert_eq!(read(&again), described, "in {again}");
    }
    let bot = read(BOT);
    assert_eq!(bot.lists[1].key.0.len(), 3);
    assert!(!bot.lists[1].delayed.as_ref().unwrap().mover);
    assert_eq!(bot.lists[0].next, End::Right);
    assert_eq!(read(DEAD_LETTERS).for_server("test").lists.len(), 0);
    assert_eq!(read(DEAD_LETTERS).for_server("prod").lists.len(), 1);
    assert_eq!(bot.for_server("test").lists.len(), 2);
}

#[test]
fn a_wrong_field_is_named_with_its_place() {
    let wrong = "[[list]]\nname = \"a\"\nkey = \"a\"\n[list.fields]\ncreated = { path = \"t\", units = \"s\" }\n";
    let error = toml::from_str::<File>(wrong).err().unwrap();
    assert!(error.message().contains("units"), "{error}");
    let place = &wrong[error.span().unwrap()];
    assert!(place.contains("units"), "{place:?}");
    for wrong in
        ["key = 5", "next = \"up\"", "item = { }", "id = true", "dead = { keys = \"x\" }", "fields = { ID = \"x\" }"]
    {
        let toml = format!("[[list]]\nname = \"a\"\n{wrong}\n");
        assert!(toml::from_str::<File>(&toml).is_err(), "{wrong}");
    }
}

#[test]
fn what_cannot_be_right_is_told_by_field() {
    let described = read(
        r#"
[[list]]
name = "a"
key = "jobs"
item = "id"
record = { key = "job:ID" }
dead = "jobs"
delayed = { key = "later", unit = "iso" }
processing_pattern = "*"
heartbeat = [{ pattern = "w:*", beat = "t" }, { pattern = "w", stale_after = 0 }]
progress = { key = "p:{id}" }

[[list]]
name = "a"
key = ["x", ""]
item = "raw"
fields = { id = "a..b" }

[[list]]
"#,
    );
    let got: Vec<_> = described.problems().into_iter().map(|problem| (problem.list, problem.field)).collect();
    let want = [
        (0, "dead.key"),
        (0, "record.key"),
        (0, "processing_pattern"),
        (0, "delayed.unit"),
        (0, "heartbeat[0].kind"),
        (0, "heartbeat[1].pattern"),
        (0, "heartbeat[1].stale_after"),
        (0, "progress"),
        (1, "key"),
        (1, "fields"),
        (1, "fields.id"),
        (1, "name"),
        (2, "name"),
        (2, "key"),
    ];
    assert_eq!(got, want.map(|(list, field)| (list, field.to_owned())));
}

#[test]
fn moments_are_read_in_their_unit() {
    let want = Some(Timestamp(1_700_000_000_500));
    assert_eq!(TimeUnit::S.read("1700000000.5"), want);
    assert_eq!(TimeUnit::Ms.read("1700000000500"), want);
    assert_eq!(TimeUnit::Auto.read("1700000000.5"), want);
    assert_eq!(TimeUnit::Auto.read("1700000000500"), want);
    assert_eq!(TimeUnit::Iso.read("2023-11-14T22:13:20.5Z"), want);
    assert_eq!(TimeUnit::Auto.read("2023-11-14T23:13:20.500+01:00"), want);
    assert_eq!(TimeUnit::Auto.read("2023-11-14T22:13:20.500000"), want);
    assert_eq!(TimeUnit::Auto.read("2023-11-14 22:13:20.5"), want);
    assert_eq!(TimeUnit::Iso.read("1700000000"), None);
    assert_eq!(TimeUnit::Auto.read("soon"), None);
    assert_eq!(TimeUnit::S.read("1e300"), None);
    assert_eq!(TimeUnit::S.read("nan"), None);
}

#[test]
fn s15_paths_and_globs_can_name_odd_keys() {
    assert_eq!(split_path("a.b"), ["a", "b"]);
    assert_eq!(split_path(r"a\.b.c\\"), ["a.b", r"c\"]);
    let steps = split_path(r"body|base64|json.a\|b");
    assert_eq!((steps[0].as_str(), steps[3].as_str()), ("body", "a|b"));
    assert_eq!(decoder(&steps[1]), Some(Ok(Decoder::Base64)));
    assert_eq!((decoder(&steps[2]), decoder(&steps[3])), (Some(Ok(Decoder::Json)), None));
    assert_eq!(decoder(&split_path("|jsom.a")[0]), Some(Err("jsom")));
    let slots = Slots::parse(r"k:{data.body|base64.a\|b}", Allowed::Job).unwrap();
    let values = Values { id: b"", queue: b"", instance: b"", item: None, data: &|_| None, now: Timestamp::default() };
    assert_eq!(slots.fill(&values), Err(r"{data.body|base64.a\|b}".to_owned()));
    assert!(Slots::parse("{data.body|bas64.a}", Allowed::Job).is_err_and(|said| said.contains("|base64?")));
    assert_eq!(literal_prefix(r"app\*:[x]*"), "app*:");
    assert_eq!(literal_prefix("{t}:worker:*"), "{t}:worker:");
}
