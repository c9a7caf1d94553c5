//! Every change of every system, as rows for the tests that break something in the middle.

use std::time::Duration;

use qtop::domain::described::Described;
use qtop::domain::ids::QueueId;
use qtop::domain::mutation::{Change, End, Limits, NewJob, Verb};

use crate::more_scenes::more_scenes;
use crate::scenes::{
    Row, Scene, bullmq, bullmq_places, list_described, list_places, list_seed, stream_places, stream_seed,
};

/// Every scene.
pub fn scenes() -> Vec<Scene> {
    let mail = || QueueId::new("bullmq", "bull", "mail");
    let none = Described::default as fn() -> Described;
    let mut scenes = vec![
        Scene {
            name: "BullMQ 6",
            queue: mail(),
            described: none,
            seed: |server| bullmq(server, "6.7.0"),
            places: bullmq_places,
            rows: || bullmq_rows(true),
        },
        Scene {
            name: "BullMQ 5",
            queue: mail(),
            described: none,
            seed: |server| bullmq(server, "5.81.5"),
            places: bullmq_places,
            rows: || bullmq_rows(true).into_iter().filter(|row| by_version(row.change.verb())).collect(),
        },
        Scene {
            name: "BullMQ 4",
            queue: mail(),
            described: none,
            seed: |server| bullmq(server, "4.18.3"),
            places: bullmq_places,
            rows: || bullmq_rows(false).into_iter().filter(|row| by_version(row.change.verb())).collect(),
        },
        Scene {
            name: "list",
            queue: QueueId::new("list", "", "audio"),
            described: list_described,
            seed: list_seed,
            places: list_places,
            rows: list_rows,
        },
        Scene {
            name: "stream",
            queue: QueueId::new("stream", "", "events/g"),
            described: none,
            seed: stream_seed,
            places: stream_places,
            rows: stream_rows,
        },
    ];
    scenes.extend(more_scenes());
    scenes
}

/// Changes whose scripts do something else for older versions: where jobs wait during a pause, how workers are woken.
fn by_version(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Retry | Verb::Promote | Verb::Prioritize | Verb::Remove | Verb::Add | Verb::Pause | Verb::Resume
    )
}

const NO_CHILDREN: Change = Change::Remove { children: false };

fn new_job() -> NewJob {
    NewJob { id: Some("mine".into()), name: "send".to_owned(), data: "{\"n\":\"mine\"}".into(), ..NewJob::default() }
}

fn bullmq_rows(schedules: bool) -> Vec<Row> {
    let limits = Limits { concurrency: Some(Some(5)), rate: Some(Some((7, Duration::from_secs(1)))) };
    let edit = Change::Edit { old: "{\"n\":\"w1\"}".into(), new: "{\"n\": 2}".into() };
    let mut rows = vec![
        Row::new("failed", &["f1", "f2"], Change::Retry { reset_attempts: false }),
        Row::new("completed", &["c1"], Change::Retry { reset_attempts: true }),
        Row::new("waiting", &["w1", "w3"], Change::Cancel),
        Row::new("delayed", &["d1", "d2"], Change::Promote),
        Row::new("delayed", &["d1", "d2"], Change::Delay { by: Duration::from_secs(99) }),
        Row::new("waiting", &["w1", "w2"], Change::Prioritize { priority: 9 }),
        Row::new("prioritized", &["p1"], Change::Prioritize { priority: 0 }),
        Row::new("failed", &["f1", "f2"], NO_CHILDREN),
        Row::new("prioritized", &["p1", "p2"], NO_CHILDREN),
        Row::new("waiting", &["k1", "k2"], NO_CHILDREN),
        Row::new("waiting-children", &["a"], Change::Remove { children: true }),
        Row::new("waiting", &["w1"], edit),
        Row::new("failed", &["f1"], Change::Duplicate),
        Row::new("", &[], Change::Add(new_job())),
        Row::new("", &[], Change::Pause),
        Row::new("", &[], Change::Resume),
        Row::new("", &[], Change::Limit(limits)),
        Row::new("", &[], Change::Obliterate),
    ];
    if schedules {
        rows.push(Row::new("schedules", &["tick"], Change::Trigger));
        rows.push(Row::new("schedules", &["tick"], Change::Unschedule));
    }
    rows
}

fn list_rows() -> Vec<Row> {
    let requeue = |end, reset_attempts| Change::Requeue { end, reset_attempts };
    let add = Change::Add(NewJob { data: "{\"id\":\"mine\"}".into(), ..NewJob::default() });
    vec![
        Row::new("dead", &["x1", "x2"], requeue(End::Last, false)),
        Row::new("dead", &["x1"], requeue(End::Next, true)),
        Row::new("processing", &["g1"], requeue(End::Next, false)),
        Row::new("delayed", &["d1", "d2"], Change::Promote),
        Row::new("waiting", &["w1", "w3"], Change::Kill { reason: String::new() }),
        Row::new("delayed", &["d1"], Change::Kill { reason: String::new() }),
        Row::new("processing", &["g1"], Change::Kill { reason: String::new() }),
        Row::new("waiting", &["w2"], Change::Cancel),
        Row::new("waiting", &["w1", "w3"], NO_CHILDREN),
        Row::new("dead", &["x1", "x2"], NO_CHILDREN),
        Row { by: "LPUSH", ..Row::new("", &[], add) },
    ]
}

fn stream_rows() -> Vec<Row> {
    let requeue = || Change::Requeue { end: End::Last, reset_attempts: false };
    let add = Change::Add(NewJob { data: "{\"job\":\"mine\",\"n\":\"1\"}".into(), ..NewJob::default() });
    let claim = Change::Claim { consumer: "c2".into(), min_idle: Duration::ZERO };
    vec![
        Row::new("pending", &["1700000000001-0", "1700000000003-0"], claim),
        Row::new("pending", &["1700000000001-0", "1700000000003-0"], requeue()),
        Row::new("pending", &["1700000000002-0"], Change::Kill { reason: "x".to_owned() }),
        Row::new("pending", &["1700000000001-0", "1700000000002-0"], Change::Acknowledge),
        Row::new("pending", &["1700000000004-0"], NO_CHILDREN),
        Row::new("waiting", &["1700000000005-0"], NO_CHILDREN),
        Row::new("dead", &["1700000000007-0", "1700000000008-0"], requeue()),
        Row::new("dead", &["1700000000007-0"], NO_CHILDREN),
        Row { by: "XADD", ..Row::new("", &[], add) },
        Row::new("", &[], Change::Trim { keep: 2 }),
    ]
}
