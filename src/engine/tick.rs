//! One tick without the network: what to ask, and what the replies say.

use std::collections::{BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::cost::CostKeeper;
use super::discovery::{Call, Discovery, Found};
use super::facts::{self, CommandStat, Info};
use super::known::{Known, Sampled};
use super::scope;
use super::{Limits, Systems};
use crate::domain::alert::{self, Around};
use crate::domain::history::History;
use crate::domain::ids::{Name, QueueId, ServerId};
use crate::domain::queue::{Severity, Warning};
use crate::domain::snapshot::{InstanceSample, LinkHealth, ServerFacts, Snapshot};
use crate::domain::time::Timestamp;
use crate::link::{Batch, CommandError, Meter, RefusalKind, Remedy, Replies, Reply, Section, cmd};

/// INFO is asked again after this long; its figures need no more.
const INFO_EVERY: Duration = Duration::from_secs(3);
/// The server's statistics of commands are asked again after about this long.
const STATISTICS_EVERY: Duration = Duration::from_secs(10);
/// A restart of the server is shown for this long.
const RESTART_SHOWN: Duration = Duration::from_secs(600);

/// A batch and who asked what in it.
pub struct Plan {
    /// What to send.
    pub batch: Batch,
    header: Section,
    info: Option<Section>,
    statistics: Option<Section>,
    scans: Vec<(Call, Section)>,
    instances: Vec<Section>,
}

/// When a batch left and its replies were there.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Sent.
    pub sent: Instant,
    /// All replies were there.
    pub received: Instant,
}

/// What a tick needs to know from one to the next.
pub struct Ticker {
    server: ServerId,
    url: Arc<str>,
    systems: Systems,
    /// The search for queues.
    pub discovery: Discovery,
    /// What it costs.
    pub cost: CostKeeper,
    known: Known,
    followed: BTreeSet<QueueId>,
    histories: HashMap<QueueId, History>,
    facts: ServerFacts,
    facts_refused: Option<CommandError>,
    not_now: Option<CommandError>,
    info_at: Option<Instant>,
    statistics_at: Option<Instant>,
    scan_keys_asked: (u64, u64),
    scan_before: Option<CommandStat>,
    seq: u64,
    server_time: Timestamp,
    restarted: Option<Instant>,
    last: Arc<Snapshot>,
}

impl Ticker {
    /// Before the first tick.
    pub fn new(server: ServerId, url: Arc<str>, systems: Systems, discovery: Discovery, limits: Limits) -> Self {
        let last = Arc::new(Snapshot::empty(server.clone(), Arc::clone(&url), Instant::now()));
        Self {
            server,
            url,
            systems,
            discovery,
            cost: CostKeeper::new(limits),
            known: Known::default(),
            followed: BTreeSet::new(),
            histories: HashMap::new(),
            facts: ServerFacts::default(),
            facts_refused: None,
            not_now: None,
            info_at: None,
            statistics_at: None,
            scan_keys_asked: (0, 0),
            scan_before: None,
            seq: 0,
            server_time: Timestamp::default(),
            restarted: None,
            last,
        }
    }

    /// The newest snapshot.
    pub fn last(&self) -> &Arc<Snapshot> {
        &self.last
    }

    /// True if queues are known that the last tick did not ask for, or the end of a walk was not yet told.
    pub fn is_behind(&self) -> bool {
        self.followed != *self.discovery.known() || self.last.discovery.passes != self.discovery.passes()
    }

    /// True if no tick has asked for a queue yet.
    pub fn asks_for_nothing(&self) -> bool {
        self.followed.is_empty()
    }

    /// Writes everything this tick asks. `clients`: names of connected clients, if known and young enough (P8).
    pub fn plan(&mut self, now: Instant, clients: Option<&Arc<[Name]>>) -> Plan {
        self.discovery.welcome();
        if self.followed != *self.discovery.known() {
            self.followed.clone_from(self.discovery.known());
            self.known.follow(&self.systems, self.followed.iter());
            let followed = |id: &QueueId| self.followed.contains(id);
            self.histories.retain(|id, _| followed(id) || scope::whole(id).is_some_and(|whole| followed(&whole)));
        }
        let due = |at: Option<Instant>, every| at.is_none_or(|at| now.saturating_duration_since(at) >= every);
        let mut batch = Batch::new();
        let header = batch.section(|batch| {
            batch.ask(cmd("TIME")).ask(cmd("DBSIZE"));
        });
        let info = due(self.info_at, INFO_EVERY).then(|| {
            self.info_at = Some(now);
            batch.section(|batch| {
                batch.ask(cmd("INFO"));
            })
        });
        let hurry = self.discovery.is_fast() && due(self.statistics_at, Duration::from_millis(500));
        let statistics = (hurry || due(self.statistics_at, STATISTICS_EVERY)).then(|| {
            self.statistics_at = Some(now);
            batch.section(|batch| {
                let mut command = cmd("INFO");
                command.arg("commandstats");
                batch.ask(command);
            })
        });
        let mut scans = Vec::new();
        for call in self.discovery.next_slow(now) {
            self.note_scan(&call);
            let section = batch.section(|batch| {
                batch.ask(call.command());
            });
            scans.push((call, section));
        }
        let mut instances = Vec::with_capacity(self.known.0.len());
        for Sampled { system, instance, memo, .. } in &mut self.known.0 {
            memo.tick = self.seq + 1;
            memo.server_time = self.server_time;
            memo.client_names = clients.cloned();
            instances.push(batch.section(|batch| system.plan(instance, memo, batch)));
        }
        Plan { batch, header, info, statistics, scans, instances }
    }

    /// Counts what a SCAN asked for, to learn later what one key costs.
    pub fn note_scan(&mut self, call: &Call) {
        self.scan_keys_asked.0 += 1;
        self.scan_keys_asked.1 += Discovery::keys_asked(call);
    }

    /// Reads all replies. `meter`: counts all connections; `bytes`: what this tick moved.
    pub fn read(&mut self, plan: &Plan, replies: &[Reply], timing: Timing, meter: &Meter, bytes: u64) -> Arc<Snapshot> {
        self.seq += 1;
        let now = timing.received;
        let rtt = now.saturating_duration_since(timing.sent);
        let local = local_time();
        let server_time = self.read_header(plan, replies);
        self.read_info(plan, replies, now);
        self.read_statistics(plan, replies, now, meter);
        self.cost.observe(now, meter.totals(), plan.batch.len(), bytes);
        for (call, section) in &plan.scans {
            let reply = Replies::section(replies, section).next().cloned();
            self.scanned(*call, &reply, now);
        }
        let taken_at = server_time.unwrap_or(local);
        self.server_time = taken_at;
        let instances = self.read_instances(plan, replies, taken_at);
        // The server's clock was read about in the middle of the round trip.
        let half = i64::try_from(rtt.as_millis() / 2).unwrap_or(0);
        let ahead = server_time.map(|server| local.0 - half - server.0);
        let mut discovery = self.discovery.progress();
        if self.known.0.iter().any(|sampled| !sampled.system.is_settled(&sampled.memo)) {
            // A walk counts when what it met was looked at.
            discovery.passes = discovery.passes.saturating_sub(1);
        }
        let snapshot = Snapshot {
            server: self.server.clone(),
            url: Arc::clone(&self.url),
            seq: self.seq,
            taken_at,
            received: now,
            rtt,
            link: LinkHealth::Up,
            facts: self.facts.clone(),
            warnings: self.warnings(now, ahead),
            instances,
            discovery,
            cost: self.cost.cost(),
        };
        self.last = Arc::new(snapshot);
        Arc::clone(&self.last)
    }

    /// Takes the reply to a SCAN of the tick or of the fast walk.
    pub fn scanned(&mut self, call: Call, reply: &Reply, now: Instant) -> Found {
        self.discovery.answer(call, reply, now)
    }

    /// The last values with another state of the connection.
    pub fn without_link(&mut self, link: LinkHealth) -> Arc<Snapshot> {
        let mut snapshot = Snapshot::clone(&self.last);
        snapshot.link = link;
        self.last = Arc::new(snapshot);
        Arc::clone(&self.last)
    }

    fn read_header(&mut self, plan: &Plan, replies: &[Reply]) -> Option<Timestamp> {
        let mut header = Replies::section(replies, &plan.header);
        let time = header.next();
        self.not_now = time.clone().err().filter(|error| error.kind() == RefusalKind::Passing);
        let time = time.ok().and_then(facts::reply_time);
        if let Ok(crate::link::Value::Int(keys)) = header.next() {
            self.facts.keys = u64::try_from(*keys).ok();
        }
        time
    }

    fn read_info(&mut self, plan: &Plan, replies: &[Reply], now: Instant) {
        let Some(section) = &plan.info else { return };
        match Replies::section(replies, section).next() {
            Ok(value) => {
                self.facts_refused = None;
                let Some(text) = facts::reply_text(value) else { return };
                let facts = Info::parse(&text).facts(&self.facts);
                if let (Some(before), Some(after)) = (&self.facts.run_id, &facts.run_id)
                    && before != after
                {
                    tracing::warn!(%before, %after, "the server was restarted or replaced");
                    self.restarted = Some(now);
                    self.known.forget_memos();
                    self.histories.values_mut().for_each(History::cut);
                    self.discovery.start_fast();
                }
                self.facts = facts;
            }
            Err(error) => self.facts_refused = Some(error),
        }
        self.discovery.describe_server(self.facts.keys, self.facts.product.as_deref(), self.facts.mode.as_deref());
    }

    fn read_statistics(&mut self, plan: &Plan, replies: &[Reply], now: Instant, meter: &Meter) {
        let Some(section) = &plan.statistics else { return };
        // Where it is refused or unknown, the cost in server time stays unknown.
        let Ok(value) = Replies::section(replies, section).next() else { return };
        let Some(text) = facts::reply_text(value) else { return };
        self.cost.statistics(now, &text, meter);
        let stats = facts::command_stats(&text);
        let scan = stats.get("scan").copied().unwrap_or_default();
        let (calls, keys) = std::mem::take(&mut self.scan_keys_asked);
        if let (Some(before), Some(each)) = (self.scan_before.replace(scan), keys.checked_div(calls)) {
            let calls = scan.calls.saturating_sub(before.calls);
            self.discovery.calibrate(calls, scan.time.saturating_sub(before.time), each * calls);
        }
        let micros = |command| stats.get(&command_name(command)).map_or(0.0, CommandStat::mean_micros);
        self.cost.tick_time(plan.batch.commands().iter().map(micros).sum());
    }

    fn read_instances(&mut self, plan: &Plan, replies: &[Reply], at: Timestamp) -> Vec<InstanceSample> {
        let mut samples = Vec::with_capacity(self.known.0.len());
        for (sampled, section) in self.known.0.iter_mut().zip(&plan.instances) {
            let mut sample = read_instance(sampled, section, replies);
            sample.queues.retain(|queue| self.discovery.scope().admits_sample(&queue.id));
            for queue in &mut sample.queues {
                let history = self.histories.entry(queue.id.clone()).or_default();
                if queue.error.is_none() && sample.error.is_none() {
                    history.push(at, queue, sample.states);
                }
                queue.trend = history.trend();
                let around = Around { history, facts: &self.facts, now: at };
                for warning in alert::queue_warnings(queue, sample.states, around) {
                    if queue.warnings.iter().all(|own| own.code != warning.code) {
                        queue.warnings.push(warning);
                    }
                }
            }
            // An instance whose queues all turned out to be none is not worth a line; a broken one is.
            if !sample.queues.is_empty() || sample.error.is_some() {
                samples.push(sample);
            }
        }
        samples
    }

    fn warnings(&self, now: Instant, clock_ahead: Option<i64>) -> Vec<Warning> {
        let mut found = alert::server_warnings(&self.facts, clock_ahead);
        if let Some(at) = self.restarted.filter(|at| now.saturating_duration_since(*at) < RESTART_SHOWN) {
            let ago = now.saturating_duration_since(at).as_secs();
            let text = format!("the server was restarted or replaced {ago}s ago: the data set may have changed");
            found.insert(0, Warning { severity: Severity::Warn, code: "dataset_changed", text });
        }
        if self.facts.mode.as_deref() == Some("cluster") {
            let text = "this is one node of a cluster: queues on other nodes are not shown".to_owned();
            found.push(Warning { severity: Severity::Warn, code: "cluster", text });
        }
        if let Some(error) = &self.not_now {
            let remedy = error.remedy().unwrap_or_default();
            let text = format!("the server answers nothing now ({error}): the figures are of earlier. {remedy}");
            found.insert(0, Warning { severity: Severity::Critical, code: "not_now", text });
        }
        if let Some(error) = self.facts_refused.as_ref().filter(|error| error.kind() != RefusalKind::Passing) {
            let text = format!("INFO is refused ({error}): nothing is known about the server{}", needs(error, "+info"));
            found.push(Warning { severity: Severity::Info, code: "info_refused", text });
        }
        if let Some(error) = self.discovery.refused() {
            let text = format!("SCAN is refused ({error}): queues cannot be found{}", needs(error, "+scan"));
            found.push(Warning { severity: Severity::Warn, code: "scan_refused", text });
        }
        found
    }
}

/// What the ACL lacks, if that is the reason.
fn needs(error: &CommandError, rule: &str) -> String {
    if error.kind() == RefusalKind::Permission { format!("; the ACL needs {rule}") } else { String::new() }
}

/// Reads one instance; whatever goes wrong stays with it, and its last good values remain.
fn read_instance(sampled: &mut Sampled, section: &Section, replies: &[Reply]) -> InstanceSample {
    let Sampled { system, instance, memo, last } = sampled;
    let mut own = Replies::section(replies, section);
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| system.read(instance, memo, &mut own)));
    let error = match result {
        Ok(Ok(mut sample)) => {
            if own.left() == 0 {
                sample.error = None;
                *last = Some(sample.clone());
                return sample;
            }
            let left = own.left();
            tracing::error!(instance = ?instance.id, left, "bug: the adapter left replies unread");
            format!("bug in the adapter: {left} replies were left unread")
        }
        Ok(Err(error)) => {
            tracing::warn!(instance = ?instance.id, %error, "an instance could not be read");
            error.to_string()
        }
        Err(_) => {
            tracing::error!(instance = ?instance.id, "bug: the adapter panicked while reading");
            *memo = crate::systems::Memo::default();
            "bug in the adapter: it panicked while reading; see the log".to_owned()
        }
    };
    let spec = system.spec();
    let mut sample = last.clone().unwrap_or_else(|| InstanceSample {
        id: instance.id.clone(),
        states: spec.states,
        caps: crate::domain::caps::Caps::empty(),
        caps_reason: None,
        queues: instance
            .queues
            .iter()
            .map(|name| crate::domain::queue::QueueSample::unknown(instance.queue(name), spec.states))
            .collect(),
        error: None,
    });
    for queue in &mut sample.queues {
        queue.error = Some(error.clone());
    }
    sample.error = Some(error);
    sample
}

/// A command's name as `INFO commandstats` has it.
fn command_name(command: &crate::link::Cmd) -> String {
    let mut words = command.args_iter().filter_map(|argument| match argument {
        redis::Arg::Simple(bytes) => Some(String::from_utf8_lossy(bytes).to_ascii_lowercase()),
        _ => None,
    });
    let first = words.next().unwrap_or_default();
    match words.next() {
        Some(second) if matches!(first.as_str(), "client" | "xinfo" | "memory" | "object" | "config") => {
            format!("{first}|{second}")
        }
        _ => first,
    }
}

/// The local clock.
fn local_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
