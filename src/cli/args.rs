//! Arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueHint};

use super::change::args::ChangeCommand;
use super::change::{AuditArgs, ImportArgs, TrashCommand, UndoArgs};
use super::commands::ExportArgs;
use crate::config::{Overrides, ServerUrl};
use crate::domain::appearance::ColourChoice;
use crate::domain::text::span_of;

/// Every Redis job queue on one live screen.
#[derive(Debug, Parser)]
#[command(name = "qtop", version, about, max_term_width = 100, after_help = EXAMPLES, args_override_self = true)]
pub struct Cli {
    /// Options for all commands.
    #[command(flatten)]
    pub options: Options,
    /// Run jobs while the screens are open, as the configuration's [[runner.pool]] tables say.
    #[arg(long = "run")]
    pub runner: bool,
    /// How to run jobs; also what stands behind `run`, once the command line is read.
    #[command(flatten)]
    pub running: RunArgs,
    /// What to do; without one the screens open.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  qtop                                     the screens, over the configured or local server
  qtop demo --yes                          the screens over a private, throw-away Redis
  qtop --url rediss://cache.example:6380   another server
  qtop queues --json                       every queue with its counts
  qtop jobs bullmq:mail --state failed     failed jobs of one queue
  qtop retry bullmq:mail --all --state failed --dry-run
                                           what a retry of all failed jobs would do
  qtop run                                 work on the configured queues, without screens
  qtop health --max-age 15m                for monitoring: 0 healthy, 1 warning, 2 critical, 3 unknown";

/// Options for all commands.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The server: redis://, rediss://, redis+unix:///PATH, redis-sentinel://; also QTOP_URL, REDIS_URL.
    #[arg(long, global = true, value_name = "URL", hide_env = true)]
    pub url: Option<String>,
    /// A server of the configuration.
    #[arg(short, long, global = true, value_name = "NAME")]
    pub server: Option<String>,
    /// Only queues whose name or address fits; may be given several times. A full address needs no search.
    #[arg(short, long = "queue", global = true, value_name = "GLOB", action = ArgAction::Append)]
    pub queues: Vec<String>,
    /// Only queues of this system; may be given several times.
    #[arg(long = "system", global = true, value_name = "NAME", action = ArgAction::Append)]
    pub systems: Vec<String>,
    /// The configuration file.
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Change nothing on any server.
    #[arg(long, global = true)]
    pub read_only: bool,
    /// How many colours.
    #[arg(long, global = true, value_name = "WHEN", value_parser = colour, help = "auto, none, 16, 256 or true")]
    pub color: Option<ColourChoice>,
    /// Draw and print with ASCII only.
    #[arg(long, global = true)]
    pub ascii: bool,
    /// A theme.
    #[arg(long, global = true, value_name = "NAME")]
    pub theme: Option<String>,
    /// Between two refreshes, for example 2s.
    #[arg(long, global = true, value_name = "TIME")]
    pub interval: Option<String>,
    /// PEM file of the authorities to trust.
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate.
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub cert: Option<PathBuf>,
    /// PEM file of its key.
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
    /// Accept any certificate.
    #[arg(long, global = true)]
    pub insecure: bool,
    /// Log level: error, warn, info, debug, trace, or directives by module.
    #[arg(long = "log-level", visible_alias = "log", global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Headless commands: wait at most so long for all queues to be found.
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
}

impl Options {
    /// What is laid over the configuration by these.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            config: self.config.clone(),
            url: self.url.clone().map(ServerUrl::new),
            server: self.server.clone(),
            local: None,
            ca: self.ca.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
            insecure: self.insecure,
            read_only: self.read_only,
            queues: self.queues.clone(),
            systems: self.systems.clone(),
            theme: self.theme.clone(),
            color: self.color,
            ascii: self.ascii,
            interval: self.interval.clone(),
            log: self.log_level.clone(),
        }
    }
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every queue with its counts.
    Queues {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Watch for so long to tell jobs in, out and failed per second; without it they are unknown.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        rates: Option<Duration>,
    },
    /// Jobs of one state of a queue.
    Jobs {
        /// SYSTEM:NAME, SYSTEM@INSTANCE:NAME, or the name if only one queue has it.
        queue: String,
        /// A state, in the system's own words.
        #[arg(long)]
        state: String,
        /// Only jobs with this text in id, name or error.
        #[arg(long = "match", value_name = "TEXT")]
        matching: Option<String>,
        /// With --match: look into payloads too.
        #[arg(long, requires = "matching")]
        payloads: bool,
        /// At most so many jobs.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
        /// Where an earlier answer ended: its next_cursor.
        #[arg(long, value_name = "CURSOR")]
        cursor: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// One job with payload, error and all that belongs to it.
    Job {
        /// SYSTEM:NAME, SYSTEM@INSTANCE:NAME, or the name if only one queue has it.
        queue: String,
        /// The job's id.
        id: String,
        /// Print JSON.
        #[arg(long, conflicts_with = "raw")]
        json: bool,
        /// Print nothing but the payload's bytes; only into a file or pipe.
        #[arg(long)]
        raw: bool,
        /// Read at most so many bytes of payload.
        #[arg(long, default_value_t = 64 * 1024, value_name = "BYTES")]
        payload_limit: u64,
    },
    /// Workers, as far as each system lets them be known.
    Workers {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Ask for the list of clients even if more than 1,000 are connected.
        #[arg(long)]
        all_clients: bool,
    },
    /// Failed and dead jobs of all queues, grouped by what their errors have in common.
    Failures {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Look at the newest so many of each queue.
        #[arg(long, default_value_t = 500, value_name = "N")]
        window: usize,
    },
    /// One verdict for monitoring. Exit code: 0 healthy, 1 warning, 2 critical, 3 unknown.
    Health(HealthArgs),
    /// Changes.
    #[command(flatten)]
    Change(ChangeCommand),
    /// Write jobs with their payloads, for people, spreadsheets or `import`.
    Export(ExportArgs),
    /// Add the jobs of an export.
    Import(ImportArgs),
    /// Put back what a change deleted.
    Undo(UndoArgs),
    /// Copies of what changes deleted, on this machine.
    Trash {
        /// What to do with them.
        #[command(subcommand)]
        action: TrashCommand,
    },
    /// Who changed what, from this machine.
    Audit(AuditArgs),
    /// Go on with a change that was interrupted.
    Continue {
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
        /// Change a production server, which is read-only otherwise.
        #[arg(long)]
        unlock: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Work on the queues of the configuration's [[runner.pool]] tables, without screens. Exit code: 0 if every job
    /// ended by itself, 3 if some had to be put back.
    Run(RunArgs),
    /// Queues that live, over a private throw-away Redis.
    Demo {
        /// Build a server without asking if none is installed.
        #[arg(long, short)]
        yes: bool,
    },
    /// The configuration.
    Config {
        /// What to do with it.
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Completions for a shell.
    Completions {
        /// Which.
        shell: clap_complete::Shell,
    },
    /// The manual page, in roff.
    #[command(hide = true)]
    Man,
}

/// How to run jobs.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// On a private server of this machine, which keeps its data.
    #[arg(long)]
    pub local: bool,
    /// Also on a server that may evict jobs when its memory is full.
    #[arg(long)]
    pub allow_eviction: bool,
}

impl RunArgs {
    /// What was given here or there.
    pub fn or(&self, other: &Self) -> Self {
        Self { local: self.local || other.local, allow_eviction: self.allow_eviction || other.allow_eviction }
    }

    /// Names of those that were given.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        let all = [(self.local, "--local"), (self.allow_eviction, "--allow-eviction")];
        all.into_iter().filter(|(given, _)| *given).map(|(_, name)| name)
    }
}

/// Thresholds of `health`. One that is passed is critical; qtop's own warnings count as they are.
#[derive(Clone, Debug, Args)]
pub struct HealthArgs {
    /// Critical if more jobs wait in a queue.
    #[arg(long, value_name = "N")]
    pub max_waiting: Option<u64>,
    /// Critical if a job has waited longer, for example 15m or 90 (seconds).
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub max_age: Option<Duration>,
    /// Critical if a queue holds more failed and dead jobs.
    #[arg(long, value_name = "N")]
    pub max_failed: Option<u64>,
    /// Critical if a queue has fewer workers alive. Asks for the list of clients where that is how workers are known.
    #[arg(long, value_name = "N")]
    pub min_workers: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Say what is wrong with it.
    Check,
    /// Print it as it is in effect, secrets covered.
    Print,
    /// Say where its files are.
    Path,
    /// Name the shipped descriptions of known applications, or print one.
    Recipes {
        /// Which to print.
        name: Option<String>,
    },
}

/// The whole command line, for completions and the manual page.
pub fn command() -> clap::Command {
    Cli::command()
}

/// `90` (seconds), `15m`, `1h 30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("not a time: {text:?}; write it like 90s, 15m, 1h30m or 7d");
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| wrong());
    }
    span_of(text).ok_or_else(wrong)
}

fn colour(text: &str) -> Result<ColourChoice, String> {
    text.parse().map_err(|_| "use auto, none, 16, 256 or true".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        assert!(duration("soon").is_err());
        assert!(duration("-5").is_err());
        assert!(duration("NaN").is_err());
    }
}
