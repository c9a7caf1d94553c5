//! States made by hand, as a server with some history would give them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use qtop::app::message::Clock;
use qtop::app::screen::Screen;
use qtop::app::settings::Settings;
use qtop::app::state::{Loaded, ServerView, State};
use qtop::app::views::{ProgressTrack, QueueView};
use qtop::domain::caps::Caps;
use qtop::domain::ids::{InstanceId, QueueId, ServerId};
use qtop::domain::job::{Cursor, JobRow, Lease, Progress};
use qtop::domain::queue::{Count, Drain, Moment, Oldest, QueueSample, Severity, Trend, Warning, WorkerCount};
use qtop::domain::snapshot::{
    Cost, CostTotals, DiscoveryProgress, InstanceSample, LinkHealth, Offer, ServerFacts, Snapshot,
};
use qtop::domain::state::{StateId, StateKind, StateSpec};
use qtop::domain::time::Timestamp;

/// The server's clock in every fixture.
pub const NOW: Timestamp = Timestamp(1_795_096_980_000);

pub const BULLMQ: &[StateSpec] = &[
    StateSpec::new("waiting", "Waiting", StateKind::Waiting, 'W').or_short("Wait").listed(),
    StateSpec::new("prioritized", "Prioritized", StateKind::Waiting, 'P').or_short("Prio"),
    StateSpec::new("active", "Active", StateKind::Active, 'A'),
    StateSpec::new("delayed", "Delayed", StateKind::Scheduled, 'D').or_short("Delay"),
    StateSpec::new("waiting-children", "Waiting for children", StateKind::Blocked, 'B').or_short("Children"),
    StateSpec::new("completed", "Completed", StateKind::Completed, 'C').or_short("Done"),
    StateSpec::new("failed", "Failed", StateKind::Failed, 'F').or_short("Fail"),
];

pub const LIST: &[StateSpec] = &[
    StateSpec::new("waiting", "Waiting", StateKind::Waiting, 'W').or_short("Wait"),
    StateSpec::new("processing", "Processing", StateKind::Active, 'A'),
    StateSpec::new("dead", "Dead", StateKind::Dead, 'D'),
];

pub const STREAM: &[StateSpec] = &[
    StateSpec::new("lag", "Not delivered", StateKind::Waiting, 'W'),
    StateSpec::new("pending", "Pending", StateKind::Active, 'A'),
];

pub fn ago(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 - seconds * 1_000)
}

/// A state before anything was heard of the server.
pub fn blank() -> State {
    let clock = Clock { mono: Instant::now(), wall: NOW };
    let server = ServerView {
        name: "prod-eu".into(),
        environment: Some("prod".into()),
        insecure: false,
        read_only: Some("this version of qtop only looks".into()),
        ..ServerView::default()
    };
    let mut state = State::new(server, Settings::default(), jiff::tz::TimeZone::UTC, clock);
    let snapshot = Snapshot::empty(ServerId("prod-eu".into()), "redis://queues.example:6379/0".into(), clock.mono);
    state.snapshot = Arc::new(snapshot);
    state
}

/// A server with queues of three systems.
pub fn busy() -> State {
    let mut state = blank();
    let instances = vec![
        instance("bullmq", "bull", BULLMQ, vec![mail(), reports(), webhooks(), cleanup()]),
        instance("list", "", LIST, vec![message_queue()]),
        instance("stream", "", STREAM, vec![events()]),
    ];
    sampled(&mut state, instances);
    state
}

/// Puts a sample of these instances into the state, as the newest tick.
pub fn sampled(state: &mut State, instances: Vec<InstanceSample>) {
    let received = state.clock.mono;
    let snapshot = Arc::make_mut(&mut state.snapshot);
    snapshot.seq = 61;
    snapshot.taken_at = NOW;
    snapshot.received = received;
    snapshot.rtt = Duration::from_micros(1_240);
    snapshot.link = LinkHealth::Up;
    snapshot.facts = facts();
    snapshot.instances = instances;
    snapshot.discovery = DiscoveryProgress { passes: 3, share: 0.4, scanned: 12_000, offers: vec![] };
    snapshot.cost = Cost {
        commands_per_second: 31.2,
        bytes_per_second: 12_345.0,
        server_ms_per_second: Some(0.41),
        slowest: Some(("XINFO GROUPS".into(), Duration::from_micros(38))),
        totals: CostTotals { round_trips: 61, commands: 1_903, bytes_in: 702_114, bytes_out: 51_003 },
        interval: Duration::from_secs(1),
    };
}

pub fn facts() -> ServerFacts {
    ServerFacts {
        version: Some("7.2.5".into()),
        product: Some("redis".into()),
        mode: Some("standalone".into()),
        role: Some("primary".into()),
        run_id: Some("f00".into()),
        uptime_seconds: Some(1_209_600),
        clients: Some(84),
        blocked_clients: Some(12),
        memory_used: Some(412_000_000),
        memory_max: Some(2_000_000_000),
        eviction_policy: Some("noeviction".into()),
        evicted_keys: Some(0),
        ops_per_second: Some(4_120),
        replicas: Some(1),
        primary_link: None,
        aof: Some(true),
        last_save_ok: Some(true),
        last_save: Some(ago(240)),
        loading: Some(false),
        keys: Some(51_230),
    }
}

pub fn instance(
    system: &'static str,
    name: &str,
    states: &'static [StateSpec],
    queues: Vec<QueueSample>,
) -> InstanceSample {
    let id = InstanceId { system, name: name.into() };
    InstanceSample { id, states, caps: Caps::all(), caps_reason: None, queues, error: None }
}

/// A queue with these counts, in the order of the system's states.
pub fn queue(id: QueueId, states: &'static [StateSpec], counts: &[u64]) -> QueueSample {
    let mut sample = QueueSample::unknown(id, states);
    for (state, count) in states.iter().zip(counts) {
        sample.set_count(state.id, Count::Exact(*count));
    }
    sample
}

fn warning(severity: Severity, code: &'static str, text: &str) -> Warning {
    Warning { severity, code, text: text.into() }
}

/// Rates that swing around their mean, and an oldest job that gets older and is taken every ten samples.
fn moment(rates: (f64, f64, f64), i: f32) -> Moment {
    let swing = 1.0 + (i / 4.0).sin() / 3.0;
    let rate = |rate: f64| Some(rate as f32 * swing);
    Moment {
        in_per_s: rate(rates.0),
        out_per_s: rate(rates.1),
        failed_per_s: rate(rates.2),
        oldest_seconds: Some(30.0 + i % 10.0),
    }
}

fn trend(rates: (f64, f64, f64), drain: Drain, backlog: impl Fn(u64) -> u64) -> Trend {
    Trend {
        in_per_s: Some(rates.0),
        out_per_s: Some(rates.1),
        failed_per_s: Some(rates.2),
        drain,
        backlog: (0..60).map(backlog).collect::<Vec<_>>().into(),
        past: (0..59_u8).map(|i| moment(rates, f32::from(i))).collect(),
    }
}

pub fn mail() -> QueueSample {
    QueueSample {
        library_version: Some("5.34.2".into()),
        oldest: Oldest::Since(ago(38)),
        trend: trend((12.0, 14.1, 0.02), Drain::In(Duration::from_secs(600)), |i| 1_800 - i * 10),
        workers: WorkerCount { alive: Some(3), busy: Some(2), at_least: false, shared: 0 },
        last_finished: Some(ago(0)),
        warnings: vec![warning(Severity::Warn, "failing", "4 jobs failed, the last 3m ago")],
        ..queue(QueueId::new("bullmq", "bull", "mail"), BULLMQ, &[1_201, 3, 10, 312, 0, 5_034, 4])
    }
}

pub fn reports() -> QueueSample {
    QueueSample {
        library_version: Some("5.34.2".into()),
        oldest: Oldest::Since(ago(7_500)),
        trend: trend((4.2, 0.0, 0.0), Drain::Never { grows_per_s: 4.2 }, |i| 8_660 + i * 4),
        workers: WorkerCount { alive: Some(0), busy: Some(0), at_least: false, shared: 0 },
        last_finished: Some(ago(7_440)),
        warnings: vec![warning(Severity::Critical, "no_workers", "no worker alive")],
        ..queue(QueueId::new("bullmq", "bull", "reports"), BULLMQ, &[8_911, 0, 0, 0, 0, 812, 37])
    }
}

pub fn webhooks() -> QueueSample {
    QueueSample {
        library_version: Some("6.1.0".into()),
        oldest: Oldest::Since(ago(0)),
        trend: trend((88.0, 88.2, 0.0), Drain::In(Duration::from_millis(200)), |i| 8 + (i * 7) % 13),
        workers: WorkerCount { alive: Some(2), busy: Some(2), at_least: false, shared: 0 },
        last_finished: Some(ago(0)),
        ..queue(QueueId::new("bullmq", "bull", "webhooks"), BULLMQ, &[12, 0, 3, 0, 0, 1_000, 0])
    }
}

pub fn cleanup() -> QueueSample {
    let mut sample = QueueSample {
        library_version: Some("6.1.0".into()),
        oldest: Oldest::Since(ago(93_600)),
        trend: trend((0.1, 0.0, 0.0), Drain::Never { grows_per_s: 0.1 }, |i| 34 + i / 10),
        workers: WorkerCount { alive: Some(1), busy: Some(0), at_least: false, shared: 0 },
        last_finished: Some(ago(93_000)),
        ..queue(QueueId::new("bullmq", "bull", "cleanup"), BULLMQ, &[40, 0, 0, 2, 0, 12, 0])
    };
    sample.conditions.paused = Some(true);
    sample
}

pub fn message_queue() -> QueueSample {
    let mut sample = QueueSample {
        oldest: Oldest::Since(ago(1_140)),
        trend: trend((9.1, 8.7, 0.0), Drain::Never { grows_per_s: 0.4 }, |i| 9_900 + i * 8),
        warnings: vec![warning(Severity::Warn, "growing", "grows 0.4/s for 10m")],
        ..queue(QueueId::new("list", "", "message_queue"), LIST, &[10_412, 0, 3])
    };
    sample.set_count(StateId("processing"), Count::Unknown);
    sample
}

pub fn events() -> QueueSample {
    QueueSample {
        oldest: Oldest::Since(ago(0)),
        trend: trend((40.2, 40.1, 0.0), Drain::In(Duration::from_millis(100)), |i| i % 4),
        workers: WorkerCount { alive: Some(4), busy: Some(3), at_least: false, shared: 0 },
        ..queue(QueueId::new("stream", "", "events/workers"), STREAM, &[3, 5])
    }
}

pub fn job(id: &str, name: &str, state: &StateSpec) -> JobRow {
    JobRow {
        name: Some(name.into()),
        attempts_made: Some(1),
        attempts_max: Some(3),
        created_at: Some(ago(9)),
        payload_bytes: Some(1_204),
        ..JobRow::bare(id, state.id, state.kind)
    }
}

fn state_of(name: &'static str) -> &'static StateSpec {
    BULLMQ.iter().find(|state| state.id == StateId(name)).expect("a state of the fixture")
}

/// Active jobs as a BullMQ queue with progress has them.
pub fn active_jobs() -> Vec<JobRow> {
    let active = state_of("active");
    let running = |id: &str, name: &str, percent: Option<f64>, seconds: i64, worker: &str| JobRow {
        progress: percent.map(|percent| Progress { percent: Some(percent), ..Progress::default() }),
        started_at: Some(ago(seconds)),
        created_at: Some(ago(seconds + 5)),
        worker: Some(worker.into()),
        lease: Some(Lease { left: Some(Duration::from_secs(24)), holder: None }),
        ..job(id, name, active)
    };
    let mut digest = running("48197", "digest", Some(10.0), 112, "web-1");
    digest.attempts_max = Some(1);
    if let Some(progress) = &mut digest.progress {
        progress.text = Some("collecting".into());
    }
    let mut dump = running("48220", "firmware dump", None, 720, "rack-7");
    dump.progress = Some(Progress { percent: None, step: Some(15), total: Some(25), text: Some("extract".into()) });
    let mut expired = running("48230", "thumbnail", Some(99.6), 61, "web-2");
    expired.lease = Some(Lease { left: Some(Duration::ZERO), holder: None });
    vec![
        running("48213", "welcome", Some(40.0), 4, "web-2"),
        running("48214", "invoice", Some(80.0), 8, "web-1"),
        digest,
        dump,
        running("48225", "export", None, 48, "web-2"),
        expired,
        JobRow { record_exists: false, ..JobRow::bare("48001", active.id, active.kind) },
    ]
}

/// Failed jobs with errors of several lengths.
pub fn failed_jobs() -> Vec<JobRow> {
    let failed = state_of("failed");
    let ended = |id: &str, name: &str, seconds: i64, error: &str| JobRow {
        attempts_made: Some(3),
        started_at: Some(ago(seconds + 12)),
        finished_at: Some(ago(seconds)),
        worker: Some("web-1".into()),
        error: Some(error.into()),
        ..job(id, name, failed)
    };
    vec![
        ended("91822", "build_pdf", 3, "ConnectTimeout: upstream 10.2.0.4:8080 timed out after 30000 ms"),
        ended("91817", "build_pdf", 65, "ConnectTimeout: upstream 10.2.0.9:8080 timed out after 30000 ms"),
        ended("91533", "invoice", 4_000, "SMTP 550 mailbox unavailable"),
        ended("90001", "digest", 91_000, "TypeError: Cannot read properties of undefined (reading 'email')"),
    ]
}

/// Opens the Queue screen of `mail` with these rows in this state.
pub fn open_queue(state: &mut State, tab: &'static str, rows: Vec<JobRow>) {
    let id = QueueId::new("bullmq", "bull", "mail");
    state.navigation.enter(Screen::Queue(id.clone()));
    let mut view = QueueView::new(id, StateId(tab));
    view.page = Loaded { data: Some(()), received: Some(state.clock.mono), ..Loaded::default() };
    view.total = Some(rows.len() as u64);
    view.rows = rows;
    if let Some(digest) = view.rows.iter().find(|row| row.id.as_bytes() == b"48197") {
        let stuck = state.clock.mono.checked_sub(Duration::from_secs(95)).expect("the machine is up longer");
        view.seen.insert(digest.id.clone(), ProgressTrack { first: (10.0, stuck), last: (10.0, stuck) });
    }
    if let Some(moving) = view.rows.iter().find(|row| row.id.as_bytes() == b"48213") {
        let start = state.clock.mono.checked_sub(Duration::from_secs(4)).expect("the machine is up longer");
        view.seen.insert(moving.id.clone(), ProgressTrack { first: (0.0, start), last: (40.0, state.clock.mono) });
    }
    state.queue = Some(view);
}

/// A long list of which only the beginning is loaded.
pub fn waiting_jobs(count: u64) -> Vec<JobRow> {
    let waiting = state_of("waiting");
    let names = ["welcome", "invoice", "digest", "reminder"];
    (0..count)
        .map(|i| {
            let mut row = job(&format!("{}", 50_000 + i), names[(i % 4) as usize], waiting);
            row.created_at = Some(ago(38 - (i as i64) / 4));
            row.attempts_made = Some(0);
            row.priority = Some(if i % 9 == 0 { 5 } else { 0 });
            row.payload_bytes = Some(300 + i * 17 % 900);
            row
        })
        .collect()
}

/// Adds a cursor so that the list does not end here.
pub fn goes_on(state: &mut State, total: u64) {
    let view = state.queue.as_mut().expect("the queue is open");
    view.total = Some(total);
    view.next = Some(Cursor("100".into()));
}

/// The mail queue under another prefix.
pub fn mail_of(instance: &str) -> QueueSample {
    QueueSample { id: QueueId::new("bullmq", instance, "mail"), ..mail() }
}

/// Queues whose names have parts.
pub fn nested() -> Vec<QueueSample> {
    let names =
        ["billing:invoice:create", "billing:invoice:send", "billing:refund", "mail", "media.resize", "media.scan"];
    let numbered = names.iter().zip(1..);
    numbered
        .map(|(name, n)| QueueSample {
            oldest: Oldest::Since(ago(30 * n)),
            ..queue(
                QueueId::new("bullmq", "bull", *name),
                BULLMQ,
                &[n as u64 * 11, 0, n as u64, 0, 0, 90, n as u64 % 2],
            )
        })
        .collect()
}

/// A server that deletes keys when it is full, and has done so.
pub fn evicting(state: &mut State) {
    state.navigation.jump(Screen::Server);
    let snapshot = Arc::make_mut(&mut state.snapshot);
    snapshot.facts.eviction_policy = Some("allkeys-lru".into());
    snapshot.facts.evicted_keys = Some(1_204);
    snapshot.facts.memory_used = Some(1_980_000_000);
    snapshot.facts.last_save_ok = Some(false);
    snapshot.warnings = vec![
        warning(Severity::Critical, "evicted", "1 204 keys were evicted since the start: jobs may be among them"),
        warning(Severity::Warn, "eviction", "maxmemory-policy is allkeys-lru; queues need noeviction"),
    ];
}

/// A key that looks like a queue and is described nowhere.
pub fn offering(state: &mut State) {
    Arc::make_mut(&mut state.snapshot).discovery.offers = vec![Offer {
        key: "tasks".into(),
        kind: "list",
        length: Some(1_204),
        recipe: "[[list]]\nname = \"tasks\"\nkey = \"tasks\"".into(),
    }];
}

/// Nothing could be read of any queue, of the server or of the cost.
pub fn unknown(state: &mut State) {
    let mut broken = QueueSample::unknown(QueueId::new("bullmq", "bull", "mail"), BULLMQ);
    broken.error = Some("LLEN bull:mail:wait: NOPERM this user has no permissions to access the key".into());
    let silent = QueueSample::unknown(QueueId::new("bullmq", "bull", "reports"), BULLMQ);
    sampled(state, vec![instance("bullmq", "bull", BULLMQ, vec![broken, silent])]);
    let snapshot = Arc::make_mut(&mut state.snapshot);
    snapshot.facts = ServerFacts::default();
    snapshot.cost = Cost { interval: Duration::from_secs(1), ..Cost::default() };
}

/// Names and errors nobody would choose.
pub fn hostile(state: &mut State) {
    let names = [
        "a\u{1b}[31mred\u{1b}]0;title\u{7}",
        "line\nbreak\r\ttab",
        "\u{202E}gnp.exe",
        "漢字のキュー名はとても長いことがあります",
        "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}zalgo",
        "👩‍👩‍👧‍👦 family 🏳️‍🌈",
        "שלום עולם",
        "zero\u{200B}width\u{FEFF}",
        "",
        "an-ordinary-name-that-is-much-longer-than-any-column-could-ever-hope-to-be-on-this-screen",
    ];
    let queues = names.iter().map(|name| QueueSample {
        warnings: vec![warning(Severity::Warn, "odd", name)],
        library_version: Some("\u{1b}[5m6".into()),
        ..queue(QueueId::new("bullmq", "bull", *name), BULLMQ, &[42, 0, 0, 0, 0, 0, 7])
    });
    sampled(state, vec![instance("bullmq", "bull", BULLMQ, queues.collect())]);
    let snapshot = Arc::make_mut(&mut state.snapshot);
    snapshot.facts.version = Some("7\u{1b}c.2".into());
    snapshot.facts.product = Some("\u{9b}31mvalkey".into());
}

/// One queue with this name and this error.
pub fn named(state: &mut State, name: &str, error: &str) {
    let mut sample = queue(QueueId::new("bullmq", "bull", name), BULLMQ, &[1, 2, 3, 4, 5, 6, 7]);
    sample.warnings = vec![warning(Severity::Critical, "odd", error)];
    sampled(state, vec![instance("bullmq", name, BULLMQ, vec![sample])]);
}

/// So many queues.
pub fn many(count: u64) -> State {
    let mut state = blank();
    let queues =
        (0..count).map(|i| QueueSample { id: QueueId::new("bullmq", "bull", format!("queue-{i:04}")), ..mail() });
    sampled(&mut state, vec![instance("bullmq", "bull", BULLMQ, queues.collect())]);
    state
}

/// The next tick: every queue has moved a little and the clock has gone on by a second.
pub fn tick(state: &mut State, second: u64) {
    state.clock.mono += Duration::from_secs(1);
    state.clock.wall = state.clock.wall.plus(Duration::from_secs(1));
    let (received, wall) = (state.clock.mono, state.clock.wall);
    let snapshot = Arc::make_mut(&mut state.snapshot);
    snapshot.seq += 1;
    snapshot.received = received;
    snapshot.taken_at = wall;
    snapshot.rtt = Duration::from_micros(1_200 + second * 13 % 400);
    for instance in &mut snapshot.instances {
        let states = instance.states;
        for sample in &mut instance.queues {
            for state in states.iter().filter(|state| state.kind != StateKind::Failed) {
                if let Count::Exact(count) = sample.count(state.id) {
                    sample.set_count(state.id, Count::Exact(count + second % 3));
                }
            }
            sample.trend.in_per_s = sample.trend.in_per_s.map(|rate| rate + 0.1);
        }
    }
}
