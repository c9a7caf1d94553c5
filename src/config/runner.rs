//! The `[runner]` tables: which queues are worked on here, how many jobs at once, and what becomes of failures.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::handler::Handler;
use super::values;

/// The embedded worker pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Runner {
    /// Run jobs whenever the screens are open, without `--run`.
    pub enabled: bool,
    /// Name of this runner, to which something unique is added.
    pub name: String,
    /// How long running jobs may take to end when the runner stops; then they are put back.
    #[serde(with = "values::time")]
    pub grace: Duration,
    /// What becomes of jobs when the terminal is closed.
    pub hangup: Hangup,
    /// How long a claim on a job holds without being renewed.
    #[serde(with = "values::time")]
    pub lease: Duration,
    /// Loopback address of the metrics listener; `None`: there is none (S11).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
    /// Work on a server that may evict jobs (R18).
    pub allow_eviction: bool,
    /// Jobs with more bytes of data than this are given up unseen (R17).
    #[serde(with = "values::size")]
    pub max_payload: u64,
    /// Take no jobs while the machine's load average over a minute is above this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_load: Option<f64>,
    /// Take no jobs while less memory than this is free.
    #[serde(with = "values::optional_size", skip_serializing_if = "Option::is_none")]
    pub min_free_memory: Option<u64>,
    /// Take no jobs while the folder for temporary files has less room than this.
    #[serde(with = "values::optional_size", skip_serializing_if = "Option::is_none")]
    pub min_free_disk: Option<u64>,
    /// Folder in which jobs get their working folders; `None`: the system's for temporary files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// Queues that are worked on, and how.
    #[serde(rename = "pool", skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<Pool>,
    /// Jobs added at set times.
    #[serde(rename = "schedule", skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Timetable>,
}

impl Default for Runner {
    fn default() -> Self {
        Self {
            enabled: false,
            name: "qtop".to_owned(),
            grace: Duration::from_secs(30),
            hangup: Hangup::Drain,
            lease: Duration::from_secs(30),
            metrics: None,
            allow_eviction: false,
            max_payload: 64 << 20,
            max_load: None,
            min_free_memory: None,
            min_free_disk: None,
            directory: None,
            pools: Vec::new(),
            schedules: Vec::new(),
        }
    }
}

impl Runner {
    /// Settings that are looked at only when a runner starts, and differ in another configuration.
    fn of_the_start(&self, other: &Self) -> Vec<&'static str> {
        let differ = [
            ("name", self.name != other.name),
            ("metrics", self.metrics != other.metrics),
            ("allow_eviction", self.allow_eviction != other.allow_eviction),
        ];
        differ.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }

    /// What a person is told when a runner is given another configuration.
    pub fn words_of_change(&self, other: &Self) -> String {
        let told = "the runner takes over its new configuration".to_owned();
        let late = self.of_the_start(other);
        if late.is_empty() { told } else { format!("{told}; of {} it hears at the next start", late.join(", ")) }
    }
}

/// What becomes of jobs when the terminal is closed: nobody can be asked then (U2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hangup {
    /// No more are taken; those that run may end within the grace time.
    #[default]
    Drain,
    /// They go on, and more are taken, until a signal ends qtop.
    Background,
    /// They are ended and put back.
    Return,
}

/// One queue that is worked on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pool {
    /// Address of the queue, `SYSTEM:NAME` or `SYSTEM@INSTANCE:NAME`.
    pub queue: String,
    /// Jobs run at once.
    pub concurrency: usize,
    /// Longest time an attempt may take; `None`: no limit.
    #[serde(with = "values::optional_time", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Attempts and waits; `None`: what the job's own options say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// A job that has killed its worker so often is given up (R15).
    pub max_crashes: u32,
    /// At most so many jobs in so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateLimit>,
    /// Jobs with the same key run once in a time; `None`: every job runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedup: Option<Dedup>,
    /// Succeeded jobs to keep; `None`: what the job says, else all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_done: Option<Kept>,
    /// Jobs given up to keep; `None`: what the job says, else all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_failed: Option<Kept>,
    /// What becomes of jobs for which there is no handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmatched: Option<Unmatched>,
    /// On streams: entries that a consumer of another maker has held for so long without a sign are taken over; `None`:
    /// they are left to their owners.
    #[serde(with = "values::optional_time", skip_serializing_if = "Option::is_none")]
    pub claim_idle: Option<Duration>,
    /// Such an entry that was delivered so often is given up unseen.
    pub max_deliveries: u32,
    /// Take no jobs until a person resumes the pool.
    pub paused: bool,
    /// Handlers; the first whose pattern matches the job's name is used.
    #[serde(rename = "handler", skip_serializing_if = "Vec::is_empty")]
    pub handlers: Vec<Handler>,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            queue: String::new(),
            concurrency: 1,
            timeout: None,
            retry: None,
            max_crashes: 2,
            rate: None,
            dedup: None,
            keep_done: None,
            keep_failed: None,
            unmatched: None,
            claim_idle: None,
            max_deliveries: 5,
            paused: false,
            handlers: Vec::new(),
        }
    }
}

/// What becomes of jobs for which there is no handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unmatched {
    /// They are given up, with that reason.
    Fail,
    /// They go back for other workers, and are looked at again after half a minute. Not possible on streams.
    Return,
}

/// Attempts and the waits between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Attempts in all, the first included; `None`: what the job says, else 1, or one more than listed waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// How the wait grows.
    pub backoff: Backoff,
    /// The wait before the second attempt.
    #[serde(with = "values::time")]
    pub base: Duration,
    /// By what an exponential wait is multiplied each time.
    pub factor: f64,
    /// The wait never grows beyond this.
    #[serde(with = "values::optional_time", skip_serializing_if = "Option::is_none")]
    pub max: Option<Duration>,
    /// Share of the wait by which chance may lengthen or shorten it, 0 to 1.
    pub jitter: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: None,
            backoff: Backoff::Fixed,
            base: Duration::from_secs(5),
            factor: 2.0,
            max: None,
            jitter: 0.0,
        }
    }
}

/// How the wait between attempts grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// Always `base`.
    Fixed,
    /// `base`, twice `base`, three times `base` …
    Linear,
    /// `base` times a power of `factor`.
    Exponential,
    /// These, then the last again and again.
    List(Vec<Duration>),
}

impl Serialize for Backoff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed => serializer.serialize_str("fixed"),
            Self::Linear => serializer.serialize_str("linear"),
            Self::Exponential => serializer.serialize_str("exponential"),
            Self::List(waits) => serializer.collect_seq(waits.iter().map(|wait| values::time::write(*wait))),
        }
    }
}

impl<'de> Deserialize<'de> for Backoff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Backoff;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"fixed\", \"linear\", \"exponential\" or a list of times such as [\"5s\", \"15s\"]")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Backoff, E> {
                match text {
                    "fixed" => Ok(Backoff::Fixed),
                    "linear" => Ok(Backoff::Linear),
                    "exponential" => Ok(Backoff::Exponential),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Backoff, A::Error> {
                let mut waits = Vec::new();
                while let Some(text) = items.next_element::<String>()? {
                    let wait = values::time::parse(&text);
                    waits.push(wait.ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &self))?);
                }
                Ok(Backoff::List(waits))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// So many jobs …
    pub jobs: u64,
    /// … in so long.
    #[serde(with = "values::time")]
    pub per: Duration,
}

/// Jobs with the same key run once in a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dedup {
    /// What makes the key, with placeholders, for example `{data.message_id}`.
    pub key: String,
    /// For so long after a job began, others with its key are not run; nothing blocks a key longer (R24).
    #[serde(with = "values::time")]
    pub ttl: Duration,
}

/// How many finished jobs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kept {
    /// The newest so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// None older than this.
    #[serde(with = "values::optional_time", skip_serializing_if = "Option::is_none")]
    pub age: Option<Duration>,
}

/// A job that is added at set times.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timetable {
    /// Address of the queue; one of the pools'.
    pub queue: String,
    /// Name for the jobs; unique among the queue's schedules.
    pub name: String,
    /// When, as five or six cron fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Or how often.
    #[serde(with = "values::optional_time", skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// Time zone of the cron fields; `None`: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What becomes of moments that passed while no runner was there.
    pub missed: Missed,
    /// The jobs' data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<toml::Value>,
}

/// What becomes of a schedule's moments that passed while no runner was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// Nothing: the next moment counts.
    #[default]
    Skip,
    /// One job for all of them together, as soon as a runner is there.
    Once,
}
