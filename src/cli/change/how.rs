//! What all commands that change queues have in common: on what, how, and the plan it becomes.

use std::time::Duration;

use clap::Args;

use crate::cli::args::duration;
use crate::domain::change::{Plan, Scope};
use crate::domain::ids::QueueId;
use crate::domain::mutation::{Change, Verb};

/// Which jobs.
#[derive(Clone, Debug, Args)]
pub struct Which {
    /// SYSTEM:NAME, SYSTEM@INSTANCE:NAME, or the name if only one queue has it.
    pub queue: String,
    /// Ids of jobs; - reads them from standard input, one a line.
    #[arg(conflicts_with = "all")]
    pub ids: Vec<String>,
    /// Every job of --state that fits; the ids are read once, and the change applies to exactly those.
    #[arg(long, required_unless_present = "ids", requires = "state")]
    pub all: bool,
    /// A state, in the system's own words.
    #[arg(long)]
    pub state: Option<String>,
    /// Only jobs with this text in id, name or error.
    #[arg(long = "match", value_name = "TEXT", requires = "all")]
    pub matching: Option<String>,
    /// With --match: look into payloads too.
    #[arg(long, requires = "matching")]
    pub payloads: bool,
    /// Only what ended (or if not ended: was added) longer ago than this, for example 2h.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "all")]
    pub older_than: Option<Duration>,
    /// At most so many.
    #[arg(long, value_name = "N", requires = "all")]
    pub limit: Option<usize>,
}

/// A queue as a whole.
#[derive(Clone, Debug, Args)]
pub struct Whole {
    /// SYSTEM:NAME, SYSTEM@INSTANCE:NAME, or the name if only one queue has it.
    pub queue: String,
    #[command(flatten)]
    pub how: How,
}

/// How it is done.
#[derive(Clone, Debug, Args)]
pub struct How {
    /// Say what would be done; send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Change at most so many jobs per second.
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<u32>,
    /// Begin with 1, then 10, then the rest; stop if most of the first fail again.
    #[arg(long)]
    pub ramp: bool,
    /// Also where the library's version is not known to qtop, or other groups of a stream get an entry twice.
    #[arg(long)]
    pub force: bool,
    /// Change a production server, which is read-only otherwise.
    #[arg(long)]
    pub unlock: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `200` or `200/s`.
fn rate(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    number.parse().ok().filter(|rate| *rate > 0).ok_or_else(|| format!("not a rate: {text:?}; write it like 200/s"))
}

/// A plan in the words of the command line.
pub fn plan(server: &str, queue: &QueueId, change: Change, scope: Scope, how: &How) -> Plan {
    Plan {
        server: server.to_owned(),
        queue: queue.clone(),
        change,
        scope,
        force: how.force,
        rate: how.rate,
        ramp: how.ramp,
        part_of: None,
    }
}

/// What a person reads before saying yes.
pub fn title(verb: Verb) -> String {
    let word = verb.word().replace('_', " ");
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_and_without_a_unit() {
        assert_eq!(rate("200/s"), Ok(200));
        assert_eq!(rate("7"), Ok(7));
        assert!(rate("0").is_err() && rate("fast").is_err());
    }
}
