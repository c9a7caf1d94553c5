//! Tasks between the adapters and the screens: sampling, discovery, deeper reads, supervision.
//!
//! Owns the connections. Knows no terminal, and no system by name: everything a system can do goes through
//! [`crate::systems::System`].

pub mod alerts;
mod cache;
pub mod change;
pub mod cost;
pub mod discovery;
pub mod executor;
mod facts;
pub mod fetcher;
pub mod gather;
mod known;
pub mod runner;
pub mod sampler;
pub mod scope;
mod sign;
mod start;
pub mod supervise;
mod tick;
mod watcher;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::domain::ids::Name;
use crate::link::{ConnectOptions, Link, LinkError, Meter, Purpose};

pub use cache::path as cache_path;
pub use start::{EngineConfig, EngineHandles, connect_options, start};
pub use watcher::{ConfigEvent, watch};

/// How fast to sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Interval between ticks a person asked for; the governor may make it longer (P6).
    pub interval: Duration,
    /// No ticks at all, except on request.
    pub paused: bool,
    /// Nobody is looking: the terminal has lost focus, or no key for ten minutes (P16).
    pub idle: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), paused: false, idle: false }
    }
}

/// Makes connections to one server; all of them count into one meter.
#[derive(Debug)]
pub struct Dialer {
    options: ConnectOptions,
    meter: Arc<Meter>,
}

impl Dialer {
    /// With these options. The meter starts at zero.
    pub fn new(options: ConnectOptions) -> Self {
        Self { options, meter: Arc::default() }
    }

    /// A new connection for that purpose.
    pub async fn dial(&self, purpose: Purpose) -> Result<Link, LinkError> {
        Link::connect_metered(&self.options, purpose, Arc::clone(&self.meter)).await
    }

    /// What all connections made here have sent and received.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }
}

/// What watching may cost a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The interval never grows beyond this, unless a person wants it longer.
    pub max_interval: Duration,
    /// Interval while nobody looks (P16).
    pub idle_interval: Duration,
    /// Commands the ticks may send in a second.
    pub commands_per_second: f64,
    /// Bytes they may move in a second, both ways together (P6).
    pub bytes_per_second: f64,
    /// Share of one core of the server they may use (P6).
    pub server_share: f64,
    /// Search the keyspace at all.
    pub scan: bool,
    /// Share of the server's time for searching, after the first time (P10).
    pub scan_share: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(&Config::default())
    }
}

impl Limits {
    /// As configured.
    pub fn of(config: &Config) -> Self {
        let budget = &config.refresh.budget;
        Self {
            max_interval: config.refresh.max_interval,
            idle_interval: config.refresh.idle_interval,
            commands_per_second: f64::from(budget.commands_per_second.max(1)),
            bytes_per_second: budget.bytes_per_second.max(1) as f64,
            server_share: budget.server_share.max(1e-6),
            scan: config.discovery.scan,
            scan_share: config.discovery.scan_share,
        }
    }
}

/// Shared by all tasks of one server.
pub type Systems = Arc<Vec<Arc<dyn crate::systems::System>>>;

/// Names of the clients that were connected when the Workers screen asked (P8).
#[derive(Clone, Debug)]
pub struct Clients {
    /// When.
    pub at: Instant,
    /// The names, without those that have none.
    pub names: Arc<[Name]>,
    /// The reply as it came, one client a line.
    pub lines: Arc<str>,
}

impl Clients {
    /// The names, if they are younger than the 30 s after which they may be asked again.
    pub fn young(&self, now: Instant) -> Option<Arc<[Name]>> {
        (now.saturating_duration_since(self.at) < Duration::from_secs(30)).then(|| Arc::clone(&self.names))
    }
}
