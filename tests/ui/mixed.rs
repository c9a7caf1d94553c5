//! The screens of one real server with queues of every system, read by the real adapters.
//!
//! All ages are counted from the second the server was filled in, and the zone is one in which that second is always the
//! same time of day. What else differs from run to run (addresses, costs, what is left of a lease) is set.

use std::sync::Arc;
use std::time::Duration;

use qtop::app::effect::{Effect, Slot};
use qtop::app::message::Message;
use qtop::app::state::State;
use qtop::app::update::update;
use qtop::domain::fetch::{Fetched, ScheduledItem};
use qtop::domain::ids::{QueueId, ServerId};
use qtop::domain::job::JobRow;
use qtop::domain::queue::{Drain, Trend};
use qtop::domain::snapshot::Snapshot;
use qtop::domain::state::StateId;
use qtop::domain::time::Timestamp;
use qtop::engine::fetcher::Ask;
use qtop::engine::scope::Scope;
use qtop::engine::{EngineConfig, EngineHandles, Limits, Pace, start};
use qtop::link::ConnectOptions;
use qtop_testkit::TestServer;
use tokio_util::sync::CancellationToken;

use super::questions::press;
use super::{approve_text, drawn, fixture, mixed_server};

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(60);
/// The time of day of every drawing, 14:03.
const TIME_OF_DAY: i64 = (14 * 60 + 3) * 60;
/// Queues that are seeded, those included of which only a description tells.
const QUEUES: usize = 12;
const SIZES: [(u16, u16); 3] = [(40, 12), (80, 24), (160, 45)];

/// A server, the tasks that read it, and the state they fill.
struct Live {
    state: State,
    handles: EngineHandles<Slot>,
    now: Timestamp,
    cancel: CancellationToken,
    // Ends with its value.
    _server: TestServer,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Where it is `TIME_OF_DAY` at this second.
fn zone(second: i64) -> jiff::tz::TimeZone {
    let ahead = (TIME_OF_DAY - second).rem_euclid(86_400);
    let offset = if ahead > 43_200 { ahead - 86_400 } else { ahead };
    jiff::tz::Offset::from_seconds(offset as i32).expect("half a day at most").to_time_zone()
}

/// The first sample that is as wanted.
async fn read(handles: &mut EngineHandles<Slot>, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let read = tokio::time::timeout(LIMIT, handles.snapshots.wait_for(|sample| wanted(sample))).await;
    Snapshot::clone(&read.expect("the server is read in time").expect("the sampler lives"))
}

/// ARQ keeps no list of its results: they are tallied on the way through the keys.
fn tallied(snapshot: &Snapshot) -> bool {
    let count = |name: &str, state| {
        let (_, sample) = snapshot.queue(&QueueId::new("arq", "", name))?;
        sample.count(StateId(state)).value()
    };
    count("arq:queue", "failed") == Some(1) && count("dumpyarabot:arq_jobs", "failed") == Some(1)
}

impl Live {
    async fn start() -> Self {
        let server = TestServer::start();
        let now = Timestamp::from_seconds(mixed_server::seeded(&server));
        let cancel = CancellationToken::new();
        let systems = Arc::new(qtop::systems::all(&mixed_server::described()));
        let config = EngineConfig {
            server: ServerId("prod-eu".into()),
            connect: ConnectOptions::new(server.url()),
            systems: Arc::clone(&systems),
            scope: Scope::default(),
            // Nothing but this test is on the server, so that it may be searched as fast as it goes.
            limits: Limits {
                commands_per_second: 1e6,
                bytes_per_second: 1e9,
                server_share: 1.0,
                scan_share: 1.0,
                ..Limits::default()
            },
            pace: Pace { interval: Duration::from_millis(100), ..Pace::default() },
            cache: None,
        };
        let mut handles = start(config, &cancel);
        let first = read(&mut handles, |s| s.discovery.passes >= 1 && s.queues().count() == QUEUES && tallied(s)).await;
        // What is asked only now and then has been asked as well.
        let snapshot = read(&mut handles, |s| s.seq >= first.seq + 10).await;
        let mut state = fixture::blank();
        state.server.read_only = None;
        state.server.abilities = systems.iter().map(|system| (system.spec().name, system.abilities())).collect();
        state.clock.wall = now;
        state.zone = zone(now.0 / 1_000);
        fill(&mut state, snapshot, now);
        Self { state, handles, now, cancel, _server: server }
    }

    /// Presses keys and reads from the server what they ask for.
    async fn press(&mut self, keys: &str) {
        let mut wishes = press(&mut self.state, keys);
        while !wishes.is_empty() {
            let mut more = Vec::new();
            for wish in wishes {
                let Effect::Fetch { ticket, slot, request } = wish else { continue };
                self.handles.asks.send(Ask::Fetch { ticket, slot, request }).await.expect("the reader lives");
                let answer = tokio::time::timeout(LIMIT, self.handles.answers.recv()).await;
                let answer = answer.expect("it answers in time").expect("the reader lives");
                let result = answer.result.map(|fetched| steadied(fetched, self.now));
                more.extend(update(
                    &mut self.state,
                    Message::Fetched { ticket: answer.ticket, slot: answer.slot, result },
                ));
            }
            wishes = more;
        }
    }

    /// Opens a queue from the Queues screen.
    async fn open(&mut self, queue: QueueId) {
        self.press("1").await;
        self.state.queues.list.cursor = Some(queue);
        self.press("enter").await;
    }

    /// Compares what is drawn with what was approved.
    fn approve(&self, name: &str, sizes: &[(u16, u16)]) {
        for (columns, rows) in sizes {
            let text = drawn(&self.state, (*columns, *rows));
            approve_text(&format!("mixed_{name}_{columns}x{rows}"), &without_moments(&text));
        }
    }
}

/// Puts what was read into the state, with figures that differ from run to run replaced.
fn fill(state: &mut State, read: Snapshot, now: Timestamp) {
    let mut instances = read.instances;
    for queue in instances.iter_mut().flat_map(|instance| &mut instance.queues) {
        let rates = [queue.trend.in_per_s, queue.trend.out_per_s, queue.trend.failed_per_s];
        let [in_per_s, out_per_s, failed_per_s] = rates.map(|known| known.map(|_| 0.0));
        queue.trend = Trend { in_per_s, out_per_s, failed_per_s, drain: Drain::Unknown, ..Trend::default() };
    }
    fixture::sampled(state, instances);
    let snapshot = Arc::make_mut(&mut state.snapshot);
    snapshot.taken_at = now;
    snapshot.url = "redis://127.0.0.1:6379/0".into();
    snapshot.facts.last_save = Some(Timestamp(now.0 - 240_000));
    snapshot.facts.keys = read.facts.keys;
    snapshot.warnings = read.warnings;
    snapshot.discovery.offers = read.discovery.offers;
}

/// An answer without what depends on how long reading took.
fn steadied(mut fetched: Fetched, now: Timestamp) -> Fetched {
    let row = |row: &mut JobRow| {
        if let Some(left) = row.lease.as_mut().and_then(|lease| lease.left.as_mut()).filter(|left| !left.is_zero()) {
            *left = Duration::from_secs(24);
        }
        // Redis tells how long an entry of a stream is pending, not since when.
        if let Some(started) = &mut row.started_at {
            let ago = started.age(now).as_millis() as i64;
            started.0 = now.0 - (ago + 500) / 1_000 * 1_000;
        }
    };
    match &mut fetched {
        Fetched::Jobs(page) => page.rows.iter_mut().for_each(row),
        Fetched::Running(many) => many.rows.iter_mut().for_each(|queued| row(&mut queued.row)),
        Fetched::Scheduled(many) => {
            for scheduled in &mut many.rows {
                if let ScheduledItem::Job(job) = &mut scheduled.item {
                    row(job);
                }
            }
        }
        Fetched::Job(Some(job)) => {
            row(&mut job.row);
            let expiring = job.keys.iter_mut().filter_map(|key| key.expires_in.as_mut());
            expiring.for_each(|left| *left = Duration::from_secs(300));
            let delivery = job.facts.iter_mut().filter(|(label, _)| label == "last delivery");
            delivery.for_each(|(_, value)| "40s ago".clone_into(value));
        }
        Fetched::Workers(report) => {
            let heartbeats = report.workers.iter_mut().filter_map(|worker| worker.heartbeat.as_mut());
            heartbeats.for_each(|heartbeat| *heartbeat = Duration::from_secs(2));
        }
        _ => {}
    }
    fetched
}

/// The text with every unix moment, whole or cut off, and every date made of as many `#`.
fn without_moments(text: &str) -> String {
    let moment = r"\b1[789]\d{8}(\d{3})?(\.\d+)?\b|\b1[789]\d{4,12}…|…\d{4,12}-|\b20\d\d-\d\d-\d\d(T[\d:.]+Z)?";
    let moment = regex::Regex::new(moment).expect("a pattern");
    moment.replace_all(text, |found: &regex::Captures<'_>| "#".repeat(found[0].len())).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn screens_of_a_server_with_all_systems_at_once() {
    let mut live = Live::start().await;
    live.approve("queues", &SIZES);
    for (key, name) in [("2", "running"), ("3", "failures"), ("4", "workers"), ("5", "scheduled"), ("7", "server")] {
        live.press(key).await;
        live.approve(name, &SIZES[1..]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_and_jobs_of_a_server_with_all_systems_at_once() {
    let mut live = Live::start().await;
    for (name, queue) in [
        ("laravel", QueueId::new("laravel", "shop_database_", "reports")),
        ("arq", QueueId::new("arq", "", "arq:queue")),
        ("dumps", QueueId::new("arq", "", "dumpyarabot:arq_jobs")),
        ("bull", QueueId::new("bull", "bull", "letters")),
        ("orders", QueueId::new("list", "", "orders")),
        ("events", QueueId::new("stream", "", "events/workers")),
    ] {
        live.open(queue).await;
        live.approve(&format!("queue_{name}"), &SIZES[1..2]);
        live.press("enter").await;
        live.approve(&format!("job_{name}"), &SIZES[1..2]);
        live.press("tab").await;
        live.approve(&format!("job_{name}_options"), &SIZES[1..2]);
    }
}
