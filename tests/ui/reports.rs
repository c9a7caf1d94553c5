//! What deeper reads would bring: running jobs, failures, workers, schedules, an opened job, log lines, reasons.

use std::time::Duration;

use bytes::Bytes;
use qtop::app::screen::Screen;
use qtop::app::state::{Loaded, State};
use qtop::app::views::{JobTab, JobView, ProgressTrack};
use qtop::domain::fetch::{FailureGroup, FailureReport, Many, QueuedRow, ScheduledItem, ScheduledRow, WorkerReport};
use qtop::domain::ids::{InstanceId, JobRef, QueueId};
use qtop::domain::job::{Blob, Job, JobRow, KeyFact, Lease, Progress, Relative, Schedule};
use qtop::domain::log_line::LogLine;
use qtop::domain::queue::{Count, Severity};
use qtop::domain::reason::Reason;
use qtop::domain::runner::PoolState;
use qtop::domain::state::{StateId, StateKind};
use qtop::domain::worker::{Liveness, RunnerPool, Worker};

use super::fixture::{active_jobs, ago, failed_jobs};

/// An answer that has just come.
pub fn fresh<T>(state: &State, data: T) -> Loaded<T> {
    Loaded { data: Some(data), received: Some(state.clock.mono), ..Loaded::default() }
}

fn queue(name: &str) -> QueueId {
    QueueId::new("bullmq", "bull", name)
}

pub fn running(state: &mut State) {
    state.navigation.jump(Screen::Running);
    let mut rows: Vec<QueuedRow> =
        active_jobs().into_iter().map(|row| QueuedRow { queue: queue("mail"), row }).collect();
    let downloads = JobRow {
        name: Some("DownloadMediaJob".into()),
        started_at: Some(ago(48)),
        ..JobRow::bare("1f0c6d1e-8a4b-4f2e-9d9e-0a6b3c1d7e55", StateId("processing"), StateKind::Active)
    };
    rows.push(QueuedRow { queue: QueueId::new("list", "", "message_queue"), row: downloads });
    let stuck = state.clock.mono.checked_sub(Duration::from_secs(95)).expect("the machine is up longer");
    let started = state.clock.mono.checked_sub(Duration::from_secs(4)).expect("the machine is up longer");
    let job = |id: &str| JobRef { queue: queue("mail"), id: id.into() };
    state.running.seen.insert(job("48197"), ProgressTrack { first: (10.0, stuck), last: (10.0, stuck) });
    let moving = ProgressTrack { first: (0.0, started), last: (40.0, state.clock.mono) };
    state.running.seen.insert(job("48213"), moving);
    state.running.list.cursor = Some(job("48197"));
    let failed = vec![(queue("reports"), "WRONGTYPE Operation against a key holding the wrong kind of value".into())];
    state.running.loaded = fresh(state, Many { rows, total: Some(8), failed });
}

pub fn failures(state: &mut State) {
    state.navigation.jump(Screen::Failures);
    let jobs: Vec<QueuedRow> =
        failed_jobs().into_iter().map(|row| QueuedRow { queue: queue("reports"), row }).collect();
    let group = |fingerprint: &str, sample: &str, count: u64, last: i64, first: i64, queues: &[(&str, u64)]| {
        let queues = queues.iter().map(|(name, count)| (queue(name), *count)).collect();
        FailureGroup {
            fingerprint: fingerprint.into(),
            sample_error: sample.into(),
            count,
            first_seen: Some(ago(first)),
            last_seen: Some(ago(last)),
            queues,
            job_names: vec!["build_pdf".into()],
            sample: JobRef { queue: queue("reports"), id: "91822".into() },
            jobs: jobs.clone(),
        }
    };
    let groups = vec![
        group(
            "ConnectTimeout: upstream <addr> timed out after <n> ms",
            "ConnectTimeout: upstream 10.2.0.4:8080 timed out after 30000 ms\n    at connect (net.js:12)",
            1_420,
            3,
            2_460,
            &[("reports", 1_388), ("exports", 30), ("billing", 2)],
        ),
        group("SMTP <n> mailbox unavailable", "SMTP 550 mailbox unavailable", 512, 12, 7_200, &[("mail", 512)]),
        group("Private video", "Private video", 61, 240, 90_000, &[("downloads", 61)]),
        group("max <n> retries exceeded", "max 5 retries exceeded", 7, 32_400, 260_000, &[("arq:queue", 7)]),
    ];
    let report = FailureReport { looked_at: 2_000, total: Some(18_411), window: 500, groups, failed: vec![] };
    state.failures.loaded = fresh(state, report);
}

pub fn workers(state: &mut State) {
    state.navigation.jump(Screen::Workers);
    let worker = |system: &'static str, name: &str, queues: &[&str], liveness: Liveness| Worker {
        instance: InstanceId { system, name: if system == "bullmq" { "bull".into() } else { "".into() } },
        name: name.into(),
        queues: queues.iter().map(|name| (*name).into()).collect(),
        state: liveness,
        paused: None,
        heartbeat: None,
        running: vec![],
        host: None,
        pid: None,
        stands_for: Count::Exact(1),
        since: None,
        pool: None,
        evidence: "client list".into(),
    };
    let web1 = Worker {
        running: vec![JobRef { queue: queue("mail"), id: "48214".into() }],
        host: Some("10.1.0.7".into()),
        ..worker("bullmq", "web-1", &["mail", "webhooks"], Liveness::Live)
    };
    let web2 = Worker {
        running: ["48213", "48225", "48230"].map(|id| JobRef { queue: queue("mail"), id: id.into() }).into(),
        host: Some("10.1.0.8".into()),
        ..worker("bullmq", "web-2", &["mail"], Liveness::Live)
    };
    let rack = Worker {
        heartbeat: Some(Duration::from_secs(190)),
        pid: Some(4_112),
        host: Some("rack-7".into()),
        evidence: "heartbeat key worker:rack-7".into(),
        ..worker("list", "rack-7", &["message_queue"], Liveness::Stale)
    };
    let gone = Worker {
        heartbeat: Some(Duration::from_secs(86_400)),
        evidence: "job locks".into(),
        running: vec![JobRef { queue: queue("mail"), id: "48001".into() }],
        ..worker("bullmq", "web-0", &["mail"], Liveness::Gone)
    };
    let consumer = Worker {
        heartbeat: Some(Duration::from_secs(0)),
        evidence: "consumer group workers".into(),
        ..worker("stream", "c-1", &["events/workers"], Liveness::Unknown)
    };
    let master = Worker {
        heartbeat: Some(Duration::from_secs(1)),
        pid: Some(815),
        paused: Some(false),
        stands_for: Count::Exact(0),
        evidence: "Horizon master, beat 1s ago; running; environment production".into(),
        ..worker("laravel", "web-1-5rtB", &[], Liveness::Live)
    };
    let supervisor = Worker {
        paused: Some(true),
        pid: Some(861),
        stands_for: Count::Exact(2),
        evidence: "Horizon supervisor, beat 0s ago; paused; processes: downloads 2".into(),
        ..worker("laravel", "web-1-5rtB:supervisor-1", &["downloads"], Liveness::Live)
    };
    let runner = Worker {
        heartbeat: Some(Duration::from_secs(2)),
        host: Some("build-3".into()),
        pid: Some(4_711),
        since: Some(ago(7_300)),
        running: ["51", "52"].map(|id| JobRef { queue: queue("uploads"), id: id.into() }).into(),
        pool: Some(RunnerPool {
            runner: "build-3-0a1b2c3d".into(),
            state: Some(PoolState::Draining),
            slots: Some(5),
            busy: Some(2),
        }),
        evidence: "sign of the runner build-3-0a1b2c3d; job locks".into(),
        ..worker("bullmq", "build-3-0a1b2c3d-77ff", &["uploads"], Liveness::Live)
    };
    let notes = vec!["CLIENT LIST was refused (NOPERM): names of idle BullMQ workers are not known".into()];
    state.workers.loaded = fresh(
        state,
        WorkerReport { workers: vec![web1, web2, master, supervisor, rack, gone, consumer, runner], notes },
    );
}

pub fn scheduled(state: &mut State) {
    state.navigation.jump(Screen::Scheduled);
    let delayed = |id: &str, name: &str, seconds: i64, kind: StateKind| ScheduledRow {
        queue: queue("mail"),
        item: ScheduledItem::Job(JobRow {
            name: Some(name.into()),
            run_at: Some(ago(-seconds)),
            error: (kind == StateKind::Retrying).then(|| "SMTP 421 try again later".into()),
            ..JobRow::bare(id, StateId("delayed"), kind)
        }),
    };
    let rule = |id: &str, rule: &str, seconds: i64, fired: Option<u64>, note: Option<&str>| ScheduledRow {
        queue: queue("cleanup"),
        item: ScheduledItem::Schedule(Schedule {
            id: id.into(),
            name: Some("sweep".into()),
            rule: rule.into(),
            zone: rule.contains('*').then(|| "Europe/Berlin".into()),
            next_run: Some(ago(-seconds)),
            fired,
            note: note.map(Into::into),
        }),
    };
    let rows = vec![
        delayed("48300", "reminder", -2, StateKind::Scheduled),
        delayed("48301", "reminder", 14, StateKind::Scheduled),
        delayed("48177", "invoice", 40, StateKind::Retrying),
        rule("every-minute", "every 1m", 52, Some(12_044), None),
        rule("nightly", "0 3 * * *", 46_620, Some(211), None),
        rule("old-style", "*/5 * * * *", 120, None, Some("written by an older library")),
    ];
    state.scheduled.loaded = fresh(state, Many { rows, total: Some(318), failed: vec![] });
}

pub fn logs(state: &mut State) {
    state.navigation.jump(Screen::Logs);
    let line = |seconds: i64, level: &'static str, target: &str, text: &str| LogLine {
        time: ago(seconds),
        level,
        target: target.into(),
        text: text.into(),
    };
    state.logs.lines.extend([
        line(61, "INFO", "qtop::engine::sampler", "connected server=prod-eu version=7.2.5 rtt_ms=1.2"),
        line(60, "INFO", "qtop::engine::discovery", "found queue=bullmq:mail"),
        line(31, "WARN", "qtop::engine::fetcher", "CLIENT LIST refused: NOPERM this user has no permissions"),
        line(12, "ERROR", "qtop::engine::sampler", "no reply in 2s; trying again in 400ms"),
        line(2, "DEBUG", "qtop::config", "read ~/.config/qtop/config.toml unchanged"),
    ]);
    state.logs.dropped = 3;
}

/// The payload of the opened job.
pub const PAYLOAD: &str = r#"{"to":"ada@example.com","subject":"Your weekly digest is here","filters":{"since":"2026-11-01","kinds":["a","b"],"strict":true},"items":[{"id":1,"score":0.75},{"id":2,"score":null}],"attempt":9007199254740993}"#;

/// A job that runs, with everything a system can tell.
pub fn full_job() -> Job {
    let row = JobRow {
        name: Some("digest".into()),
        progress: Some(Progress { percent: Some(10.0), text: Some("collecting".into()), ..Progress::default() }),
        attempts_made: Some(1),
        attempts_max: Some(1),
        created_at: Some(ago(114)),
        started_at: Some(ago(112)),
        worker: Some("web-1".into()),
        payload_bytes: Some(PAYLOAD.len() as u64),
        lease: Some(Lease { left: Some(Duration::from_secs(21)), holder: Some("5c9e:3".into()) }),
        ..JobRow::bare("48197", StateId("active"), StateKind::Active)
    };
    let key = |key: &str, kind: &str, length: u64, expires: Option<u64>| KeyFact {
        key: key.into(),
        kind: kind.into(),
        length: Some(length),
        expires_in: expires.map(Duration::from_secs),
    };
    Job {
        row,
        payload: Blob::whole(Bytes::from_static(PAYLOAD.as_bytes())),
        options: Some(Blob::whole(Bytes::from_static(
            br#"{"attempts":1,"backoff":{"type":"exponential","delay":1000}}"#,
        ))),
        result: None,
        error: None,
        stack: vec![],
        logs: (1..=14).map(|i| format!("step {i}: collected {} entries", i * 37)).collect(),
        logs_total: Some(14),
        parent: Some(Relative {
            job: Some(JobRef { queue: queue("reports"), id: "91000".into() }),
            label: "bull:reports:91000".into(),
            state: Some("waiting-children".into()),
        }),
        children: vec![
            Relative {
                job: Some(JobRef { queue: queue("mail"), id: "48190".into() }),
                label: "bull:mail:48190".into(),
                state: Some("processed".into()),
            },
            Relative { job: None, label: "other:thing:7".into(), state: Some("unfinished".into()) },
        ],
        keys: vec![
            key("bull:mail:48197", "hash", 9, None),
            key("bull:mail:48197:logs", "list", 14, None),
            key("bull:mail:48197:lock", "string", 36, Some(21)),
        ],
        facts: vec![("stalled".into(), "0".into()), ("processed by".into(), "web-1".into())],
    }
}

/// The same job after its last attempt.
pub fn failed_job() -> Job {
    let mut job = full_job();
    job.row.state = StateId("failed");
    job.row.kind = StateKind::Failed;
    job.row.finished_at = Some(ago(10));
    job.row.lease = None;
    job.row.error = Some("TypeError: Cannot read properties of undefined (reading 'email')".into());
    job.error = job.row.error.clone();
    job.stack = vec![
        "TypeError: Cannot read properties of undefined (reading 'email')\n    at collect (/srv/app/digest.js:41:17)\n    at Worker.processJob (/srv/app/node_modules/bullmq/dist/cjs/classes/worker.js:394:28)"
            .into(),
    ];
    job
}

/// Opens the Job screen on this job and this part.
pub fn open_job(state: &mut State, job: Job, tab: JobTab) {
    let id = JobRef { queue: queue("mail"), id: job.row.id.clone() };
    state.navigation.enter(Screen::Job(id.clone()));
    let mut view = JobView::new(id, 65_536);
    view.tab = tab;
    view.documents.update(&job);
    let stuck = state.clock.mono.checked_sub(Duration::from_secs(95)).expect("the machine is up longer");
    view.track = Some(ProgressTrack { first: (10.0, stuck), last: (10.0, stuck) });
    view.loaded = fresh(state, Some(Box::new(job)));
    state.job = Some(view);
}

pub fn reasons() -> Vec<Reason> {
    vec![
        Reason {
            severity: Severity::Critical,
            code: "no_workers",
            text: "No worker of this queue is alive, so nothing takes its 8 911 waiting jobs.".into(),
            evidence: "CLIENT LIST names no client bull:reports; the last job ended 2h 4m ago".into(),
            remedy: Some("Start a worker for the queue reports with prefix bull.".into()),
        },
        Reason {
            severity: Severity::Info,
            code: "other_prefix",
            text: "Another prefix has a queue of the same name.".into(),
            evidence: "app:reports has 3 workers".into(),
            remedy: None,
        },
    ]
}
