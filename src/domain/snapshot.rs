//! All that one tick learned about one server. Immutable; shared as `Arc<Snapshot>`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::caps::Caps;
use super::ids::{InstanceId, QueueId, ServerId, SystemName};
use super::queue::{QueueSample, Warning};
use super::state::StateSpec;
use super::time::Timestamp;

/// One instance and its queues.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceSample {
    /// Which instance.
    pub id: InstanceId,
    /// The system's states in its own order; the same list for every instance of a system.
    pub states: &'static [StateSpec],
    /// What can be done here now.
    pub caps: Caps,
    /// Why less is possible than the system could do.
    pub caps_reason: Option<String>,
    /// Its queues in name order.
    pub queues: Vec<QueueSample>,
    /// Set if the instance as a whole could not be read.
    pub error: Option<String>,
}

/// Facts about the Redis server.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ServerFacts {
    /// `redis_version` (or `valkey_version`).
    pub version: Option<String>,
    /// Product name: `redis`, `valkey`, `dragonfly`, …
    pub product: Option<String>,
    /// `standalone`, `sentinel` or `cluster`.
    pub mode: Option<String>,
    /// `master` or `slave`, said as `primary` and `replica`.
    pub role: Option<String>,
    /// Changes when the server was restarted.
    pub run_id: Option<String>,
    /// Seconds since its start.
    pub uptime_seconds: Option<u64>,
    /// Connected clients.
    pub clients: Option<u64>,
    /// Clients blocked in a blocking command.
    pub blocked_clients: Option<u64>,
    /// Bytes used.
    pub memory_used: Option<u64>,
    /// `maxmemory`; `Some(0)`: no limit.
    pub memory_max: Option<u64>,
    /// `maxmemory_policy`.
    pub eviction_policy: Option<String>,
    /// Keys evicted since start.
    pub evicted_keys: Option<u64>,
    /// Commands per second of all clients.
    pub ops_per_second: Option<u64>,
    /// Connected replicas, on a primary.
    pub replicas: Option<u64>,
    /// `up` or `down`, on a replica.
    pub primary_link: Option<String>,
    /// `aof_enabled`.
    pub aof: Option<bool>,
    /// `rdb_last_bgsave_status`.
    pub last_save_ok: Option<bool>,
    /// When the last RDB save ended.
    pub last_save: Option<Timestamp>,
    /// The server is loading its data set.
    pub loading: Option<bool>,
    /// Keys in the selected database.
    pub keys: Option<u64>,
}

/// State of the connection.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkHealth {
    /// Not yet connected since start.
    Connecting {
        /// The last failure, with its remedy in the text.
        last_error: Option<String>,
    },
    /// The last tick was answered.
    Up,
    /// The last tick failed; the data is of earlier.
    Down {
        /// Since when, by the local clock.
        since: Instant,
        /// What went wrong.
        error: String,
        /// What to do.
        remedy: Option<String>,
    },
}

/// What qtop itself costs this server, over the last ten seconds or so.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Cost {
    /// Commands sent per second.
    pub commands_per_second: f64,
    /// Bytes sent and received per second.
    pub bytes_per_second: f64,
    /// Server milliseconds used per second, from the server's own statistics; `None` where it does not tell.
    pub server_ms_per_second: Option<f64>,
    /// The own command with the highest mean server time, and that time.
    pub slowest: Option<(String, Duration)>,
    /// Round trips, commands, bytes out, bytes in since start.
    pub totals: CostTotals,
    /// The present interval between two refreshes.
    pub interval: Duration,
}

/// Sums since start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CostTotals {
    /// Pipelines sent and answered.
    pub round_trips: u64,
    /// Commands in them.
    pub commands: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
}

/// How far the search for queues has come.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DiscoveryProgress {
    /// Whole passes made over the keyspace.
    pub passes: u64,
    /// Share of the present pass that is done, 0 to 1.
    pub share: f64,
    /// Keys looked at in this pass, about.
    pub scanned: u64,
    /// Keys that look like a queue but are described nowhere: offered, not assumed.
    pub offers: Vec<Offer>,
}

/// A key that may be a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The key.
    pub key: super::ids::Name,
    /// `list`, `zset` or `stream`.
    pub kind: &'static str,
    /// Its length, if asked.
    pub length: Option<u64>,
    /// TOML that would describe it.
    pub recipe: String,
}

/// All samples of one server from one tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Which server.
    pub server: ServerId,
    /// Its URL without secrets.
    pub url: Arc<str>,
    /// Number of the tick, from 1; 0 before the first answer.
    pub seq: u64,
    /// Server time of the tick.
    pub taken_at: Timestamp,
    /// Local moment the answer came; ages of data are counted from here.
    pub received: Instant,
    /// Round-trip time of the tick.
    pub rtt: Duration,
    /// The connection.
    pub link: LinkHealth,
    /// The Redis server.
    pub facts: ServerFacts,
    /// Findings about the server as a whole.
    pub warnings: Vec<Warning>,
    /// Instances in the order of the system registry, then by name.
    pub instances: Vec<InstanceSample>,
    /// The search for queues.
    pub discovery: DiscoveryProgress,
    /// What qtop costs.
    pub cost: Cost,
}

impl Snapshot {
    /// What is known before the first answer: nothing.
    pub fn empty(server: ServerId, url: Arc<str>, now: Instant) -> Self {
        Self {
            server,
            url,
            seq: 0,
            taken_at: Timestamp::default(),
            received: now,
            rtt: Duration::ZERO,
            link: LinkHealth::Connecting { last_error: None },
            facts: ServerFacts::default(),
            warnings: Vec::new(),
            instances: Vec::new(),
            discovery: DiscoveryProgress::default(),
            cost: Cost::default(),
        }
    }

    /// Every queue with its instance.
    pub fn queues(&self) -> impl Iterator<Item = (&InstanceSample, &QueueSample)> {
        self.instances.iter().flat_map(|instance| instance.queues.iter().map(move |queue| (instance, queue)))
    }

    /// One queue by id.
    pub fn queue(&self, id: &QueueId) -> Option<(&InstanceSample, &QueueSample)> {
        let instance = self.instances.iter().find(|instance| instance.id == id.instance)?;
        let queue = instance.queues.iter().find(|queue| queue.id == *id)?;
        Some((instance, queue))
    }

    /// True if a system has more than one instance, so that addresses must name it.
    pub fn has_several(&self, system: SystemName) -> bool {
        self.instances.iter().filter(|instance| instance.id.system == system).count() > 1
    }

    /// The shortest exact address of a queue.
    pub fn address(&self, id: &QueueId) -> String {
        id.address(self.has_several(id.instance.system))
    }

    /// The server's clock now, carried on from the tick by the local clock.
    pub fn server_now(&self, now: Instant) -> Timestamp {
        self.taken_at.plus(now.saturating_duration_since(self.received))
    }
}
