//! A queue system of the tests: a list `tiny:INSTANCE:QUEUE:wait`, counters beside it, a hash `…:meta` that marks it.

use qtop::domain::caps::Caps;
use qtop::domain::ids::{JobId, QueueId};
use qtop::domain::job::{Job, JobRow, Page, PageRequest, Schedule, Search, SearchStep};
use qtop::domain::mutation::{Mutation, Outcome};
use qtop::domain::queue::{Count, QueueSample, Severity, Totals};
use qtop::domain::reason::Reason;
use qtop::domain::snapshot::InstanceSample;
use qtop::domain::state::{StateId, StateKind, StateSpec};
use qtop::domain::time::Timestamp;
use qtop::domain::worker::{Liveness, Worker};
use qtop::link::{Batch, Link, Replies, Value, cmd};
use qtop::systems::{Answer, Instance, Memo, ReadError, ScanPass, Sighting, System, SystemError, SystemSpec};

pub const STATES: &[StateSpec] = &[
    StateSpec::new("waiting", "Waiting", StateKind::Waiting, 'W'),
    StateSpec::new("active", "Active", StateKind::Active, 'A'),
    StateSpec::new("delayed", "Delayed", StateKind::Scheduled, 'D'),
    StateSpec::new("failed", "Failed", StateKind::Failed, 'F'),
];

static SPEC: SystemSpec = SystemSpec {
    name: "tiny",
    title: "Tiny",
    states: STATES,
    caps: Caps::LIST.union(Caps::DETAIL),
    scans: &[ScanPass { pattern: "tiny:*:meta", kind: Some("hash") }],
};

static GREEDY: SystemSpec = SystemSpec {
    name: "greedy",
    title: "Greedy",
    states: STATES,
    caps: Caps::LIST,
    scans: &[ScanPass { pattern: "*", kind: Some("list") }],
};

/// The system, or with `greedy` another one that takes whatever list it is shown and for which nobody is to wait.
#[derive(Default)]
pub struct Tiny {
    pub greedy: bool,
}

pub fn key(queue: &QueueId, suffix: &str) -> Vec<u8> {
    let mut key = b"tiny:".to_vec();
    key.extend(queue.instance.name.as_bytes());
    key.push(b':');
    key.extend(queue.name.as_bytes());
    key.push(b':');
    key.extend(suffix.as_bytes());
    key
}

fn number(value: &Value) -> Result<u64, ReadError> {
    match value {
        Value::Int(number) => Ok(*number as u64),
        Value::Nil => Ok(0),
        Value::BulkString(text) => Ok(String::from_utf8_lossy(text).parse().unwrap_or(0)),
        other => Err(ReadError::Shape { command: "LLEN", what: format!("{other:?}") }),
    }
}

async fn rows(link: &Link, queue: &QueueId, state: StateId, page: &PageRequest) -> Result<Page<JobRow>, SystemError> {
    let spec = STATES
        .iter()
        .find(|spec| spec.id == state)
        .ok_or_else(|| SystemError::BadRequest(format!("no state {state}")))?;
    let start: u64 = page.cursor.as_ref().map_or(0, |cursor| cursor.0.parse().unwrap_or(0));
    let mut batch = Batch::new();
    let mut range = cmd("LRANGE");
    range.arg(key(queue, state.0)).arg(start).arg(start + page.limit as u64 - 1);
    let mut length = cmd("LLEN");
    length.arg(key(queue, state.0));
    batch.ask(range).ask(length);
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let Value::Array(items) = replies.next().map_err(ReadError::from)? else { return Ok(Page::whole(vec![])) };
    let total = number(replies.next().map_err(ReadError::from)?)?;
    let rows: Vec<JobRow> = items
        .iter()
        .filter_map(|item| if let Value::BulkString(text) = item { Some(text) } else { None })
        .map(|text| {
            // An item is `id` or `id|name|error|milliseconds`.
            let text = String::from_utf8_lossy(text).into_owned();
            let mut parts = text.split('|');
            let mut row = JobRow::bare(parts.next().unwrap_or_default(), state, spec.kind);
            row.name = parts.next().map(str::to_owned);
            row.error = parts.next().map(str::to_owned);
            let at = parts.next().and_then(|at| at.parse().ok()).map(Timestamp);
            match spec.kind {
                StateKind::Failed => row.finished_at = at,
                StateKind::Scheduled => row.run_at = at,
                _ => row.started_at = at,
            }
            row
        })
        .collect();
    let next = start + rows.len() as u64;
    Ok(Page { next: (next < total).then(|| qtop::domain::job::Cursor(next.to_string())), rows, total: Some(total) })
}

impl System for Tiny {
    fn spec(&self) -> &'static SystemSpec {
        if self.greedy { &GREEDY } else { &SPEC }
    }

    fn scans_only_offer(&self) -> bool {
        self.greedy
    }

    fn recognise(&self, key: &[u8]) -> Option<Sighting> {
        if self.greedy {
            return Some(Sighting::Queue(QueueId::new("greedy", "", key)));
        }
        let middle = key.strip_prefix(b"tiny:")?.strip_suffix(b":meta")?;
        let colon = middle.iter().rposition(|byte| *byte == b':')?;
        Some(Sighting::Queue(QueueId::new("tiny", &middle[..colon], &middle[colon + 1..])))
    }

    fn plan(&self, instance: &Instance, _: &Memo, batch: &mut Batch) {
        for queue in &instance.queues {
            let queue = instance.queue(queue);
            for suffix in ["waiting", "active", "delayed", "failed"] {
                let mut command = cmd("LLEN");
                command.arg(key(&queue, suffix));
                batch.ask(command);
            }
            let mut command = cmd("HMGET");
            command.arg(key(&queue, "meta")).arg("added").arg("finished").arg("panic").arg("greedy").arg("paused");
            batch.ask(command);
        }
    }

    fn read(&self, instance: &Instance, _: &mut Memo, replies: &mut Replies<'_>) -> Result<InstanceSample, ReadError> {
        let mut queues = Vec::new();
        for name in &instance.queues {
            let mut sample = QueueSample::unknown(instance.queue(name), STATES);
            for state in STATES {
                sample.set_count(state.id, Count::Exact(number(replies.next()?)?));
            }
            let Value::Array(meta) = replies.next()? else { continue };
            assert!(meta[2] == Value::Nil, "this queue makes its adapter panic");
            if meta[3] != Value::Nil {
                replies.next()?;
            }
            sample.conditions.paused = Some(meta[4] != Value::Nil);
            sample.totals = Totals { added: number(&meta[0]).ok(), finished: number(&meta[1]).ok(), failed: None };
            queues.push(sample);
        }
        Ok(InstanceSample {
            id: instance.id.clone(),
            states: STATES,
            caps: SPEC.caps,
            caps_reason: None,
            queues,
            error: None,
        })
    }

    fn jobs<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        page: PageRequest,
    ) -> Answer<'a, Page<JobRow>> {
        Box::pin(async move { rows(link, queue, state, &page).await })
    }

    fn job<'a>(&'a self, link: &'a Link, queue: &'a QueueId, id: &'a JobId, _: u64) -> Answer<'a, Option<Job>> {
        Box::pin(async move {
            for state in STATES {
                let page = rows(link, queue, state.id, &PageRequest { cursor: None, limit: 500 }).await?;
                if let Some(row) = page.rows.into_iter().find(|row| row.id == *id) {
                    return Ok(Some(Job {
                        error: row.error.clone(),
                        row,
                        payload: qtop::domain::job::Blob::default(),
                        options: None,
                        result: None,
                        stack: vec![],
                        logs: vec![],
                        logs_total: None,
                        parent: None,
                        children: vec![],
                        keys: vec![],
                        facts: vec![],
                    }));
                }
            }
            Ok(None)
        })
    }

    fn search<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        search: &'a Search,
        page: PageRequest,
    ) -> Answer<'a, SearchStep> {
        Box::pin(async move {
            let found = rows(link, queue, state, &page).await?;
            let scanned = found.rows.len() as u64;
            let fits = |row: &JobRow| row.id.to_text().contains(&search.text);
            Ok(SearchStep {
                hits: found.rows.into_iter().filter(fits).collect(),
                scanned,
                next: found.next,
                total: found.total,
            })
        })
    }

    fn workers<'a>(&'a self, _: &'a Link, instance: &'a Instance, clients: Option<&'a str>) -> Answer<'a, Vec<Worker>> {
        Box::pin(async move {
            let lines = clients.unwrap_or_default().lines().filter(|line| line.contains(" name=tiny-worker"));
            Ok(lines
                .map(|_| Worker {
                    instance: instance.id.clone(),
                    name: "tiny-worker".into(),
                    queues: instance.queues.clone(),
                    state: Liveness::Live,
                    paused: None,
                    heartbeat: None,
                    running: vec![],
                    host: None,
                    pid: None,
                    stands_for: Count::Exact(1),
                    since: None,
                    pool: None,
                    evidence: "client list".to_owned(),
                })
                .collect())
        })
    }

    fn schedules<'a>(&'a self, _: &'a Link, _: &'a QueueId, _: PageRequest) -> Answer<'a, Page<Schedule>> {
        Box::pin(async { Ok(Page::whole(vec![])) })
    }

    fn why<'a>(&'a self, _: &'a Link, _: &'a QueueId, _: Option<&'a JobId>) -> Answer<'a, Vec<Reason>> {
        Box::pin(async {
            Ok(vec![Reason {
                severity: Severity::Info,
                code: "fine",
                text: "nothing is known against it".to_owned(),
                evidence: "nothing was read".to_owned(),
                remedy: None,
            }])
        })
    }

    fn mutate<'a>(&'a self, _: &'a Link, _: &'a Mutation) -> Answer<'a, Outcome> {
        Box::pin(async { Err(SystemError::Unsupported("read only".to_owned())) })
    }
}
