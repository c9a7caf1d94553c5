//! How to connect: what the configuration, the environment and the command line say about one server.

use std::path::PathBuf;
use std::time::Duration;

use super::address::safe_url;
use super::gate::Mode;
use crate::domain::secret::Secret;

/// What a connection is for. On a shared connection a slow reply holds up all behind it, so each purpose has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Purpose {
    /// The refresh of the sampler.
    Sample,
    /// Deeper reads for a screen or the command line.
    Fetch,
    /// Changes.
    Mutate,
    /// Waiting for jobs: one blocking read at a time, and nothing else.
    Claim,
}

impl Purpose {
    /// True if what it brings is only looked at: then the rest of a huge value is dropped as it comes in. Who changes
    /// or runs jobs needs every byte.
    pub fn is_for_looking(self) -> bool {
        matches!(self, Self::Sample | Self::Fetch)
    }
}

/// Longest waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimits {
    /// From the name lookup to the end of the login.
    pub connect: Duration,
    /// For the replies to one refresh.
    pub sample: Duration,
    /// For the replies to one step of a deeper read.
    pub fetch: Duration,
    /// For the reply to one change.
    pub mutate: Duration,
    /// For the reply to one blocking read; well above the longest time the server is told to block (R3).
    pub claim: Duration,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            sample: Duration::from_secs(5),
            fetch: Duration::from_secs(10),
            mutate: Duration::from_secs(15),
            claim: Duration::from_secs(8),
        }
    }
}

impl TimeLimits {
    /// The limit for replies on a connection of this purpose.
    pub fn reply(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::Sample => self.sample,
            Purpose::Fetch => self.fetch,
            Purpose::Mutate => self.mutate,
            Purpose::Claim => self.claim,
        }
    }
}

/// How to use TLS. Whether it is used, the URL says (`rediss://`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM file of the authorities to trust instead of the public ones and the system's.
    pub authorities: Option<PathBuf>,
    /// PEM file of the client certificate with its chain.
    pub certificate: Option<PathBuf>,
    /// PEM file of the client certificate's key.
    pub key: Option<PathBuf>,
    /// Name to expect in the server's certificate and to send as SNI, instead of the host of the URL.
    pub server_name: Option<String>,
    /// Accept any certificate. The screen shows this for as long as it lasts (S16).
    pub insecure: bool,
}

/// Everything needed to connect to one server.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ConnectOptions {
    /// The URL; see [`super::Address::parse`] for its forms.
    pub url: String,
    /// User name, if the URL has none.
    pub username: Option<String>,
    /// Password; comes before the URL's.
    pub password: Option<Secret>,
    /// Database number, if the URL has none.
    pub db: Option<u32>,
    /// TLS.
    pub tls: TlsOptions,
    /// Longest waits.
    pub limits: TimeLimits,
    /// What may leave.
    pub mode: Mode,
    /// A command that the gate stops as a bug is an error in debug builds, too, not a panic. For tests of the gate.
    pub lenient_gate: bool,
}

impl ConnectOptions {
    /// Only a URL; everything else as by default.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// The URL as it may be shown.
    pub fn safe_url(&self) -> String {
        safe_url(&self.url)
    }
}

impl std::fmt::Debug for ConnectOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ConnectOptions")
            .field("url", &self.safe_url())
            .field("username", &self.username)
            .field("password", &self.password)
            .field("db", &self.db)
            .field("tls", &self.tls)
            .field("limits", &self.limits)
            .field("mode", &self.mode)
            .field("lenient_gate", &self.lenient_gate)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s8_debug_shows_no_password() {
        let mut options = ConnectOptions::new("redis://u:hunter2@h");
        options.password = Some("hunter3".into());
        let shown = format!("{options:?}");
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(shown.contains("redis://u:***@h:6379"), "{shown}");
    }
}
