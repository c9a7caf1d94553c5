//! qtop's own log: a file a day, a feed for the Logs screen, a level that can be changed while running.
//!
//! Nothing here may write to the terminal, and nothing may wait for a disk: lines are handed to a thread, and dropped if
//! that one cannot keep up (R13).

mod daily;
mod feed;

use std::io;
use std::path::{Path, PathBuf};

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use daily::DailyFile;
pub use feed::LogFeed;

/// Why there is no log file. qtop goes on without: the Logs screen still shows the lines.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be written.
    #[error("no log file in {}: {source}", directory.display())]
    File {
        /// Where it should be.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a list of levels.
    #[error("\"{0}\" is not a log level")]
    Level(String),
    /// Something else in this process logs already.
    #[error("logging was started twice")]
    Twice,
}

impl LogError {
    /// What to do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::File { .. } => Some("choose another folder: [log] directory = \"PATH\""),
            Self::Level(_) => Some("use error, warn, info, debug or trace"),
            Self::Twice => None,
        }
    }
}

/// Keeps logging alive; what is still under way is written when it is dropped. Belongs into `main`.
#[derive(Debug)]
pub struct LogGuard {
    filter: reload::Handle<Targets, Registry>,
    _writer: Option<WorkerGuard>,
}

impl LogGuard {
    /// Changes what is logged from now on.
    ///
    /// # Errors
    /// If it is not a list of levels; the old ones stay.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        let targets = targets(level)?;
        // It fails only when the subscriber is gone, and then there is nothing to filter.
        let _ = self.filter.reload(targets);
        Ok(())
    }
}

/// Starts logging for the whole process. `directory`: where the files go, none for no files. `keep_days`: files kept.
///
/// The third value says why there is no file although one was wanted.
///
/// # Errors
/// If the level is none, or logging was started before.
pub fn start(
    directory: Option<&Path>,
    level: &str,
    keep_days: u16,
) -> Result<(LogGuard, LogFeed, Option<LogError>), LogError> {
    let (subscriber, guard, feed, problem) = build(directory, level, keep_days)?;
    subscriber.try_init().map_err(|_| LogError::Twice)?;
    Ok((guard, feed, problem))
}

type Built = (Box<dyn Subscriber + Send + Sync>, LogGuard, LogFeed, Option<LogError>);

fn build(directory: Option<&Path>, level: &str, keep_days: u16) -> Result<Built, LogError> {
    let (filter, handle) = reload::Layer::new(targets(level)?);
    let opened = directory.map(|directory| {
        DailyFile::open(directory, keep_days, || jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date())
            .map_err(|source| LogError::File { directory: directory.to_owned(), source })
    });
    let (file, problem) = match opened.transpose() {
        Ok(file) => (file, None),
        Err(problem) => (None, Some(problem)),
    };
    let (writer, guard) = file.map(NonBlocking::new).unzip();
    let lines = writer.map(|writer| tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer));
    let (layer, feed) = feed::feed();
    let subscriber = tracing_subscriber::registry().with(filter).with(lines).with(layer);
    Ok((Box::new(subscriber), LogGuard { filter: handle, _writer: guard }, feed, problem))
}

/// Reads `warn,qtop::link=debug`. A level without a module is that of qtop; the libraries it uses tell warnings and
/// errors only, unless they are named.
fn targets(text: &str) -> Result<Targets, LogError> {
    let mut targets = Targets::new();
    for directive in text.split(',').map(str::trim) {
        let (module, level) = directive.split_once('=').map_or((None, directive), |(m, level)| (Some(m.trim()), level));
        let level = level.trim();
        let known =
            ["error", "warn", "info", "debug", "trace", "off"].iter().any(|word| word.eq_ignore_ascii_case(level));
        let level: LevelFilter =
            level.parse().ok().filter(|_| known).ok_or_else(|| LogError::Level(directive.to_owned()))?;
        targets = match module {
            Some(module) => targets.with_target(module, level),
            None => targets.with_default(level.min(LevelFilter::from_level(Level::WARN))).with_target("qtop", level),
        };
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tracing::{debug, error, info, subscriber, trace, warn};

    use super::*;

    fn drain(feed: &mut LogFeed) -> Vec<String> {
        std::iter::from_fn(|| feed.try_recv()).map(|line| format!("{} {}", line.level, line.text)).collect()
    }

    fn written(directory: &Path) -> String {
        let entries = fs::read_dir(directory).expect("the folder");
        entries.map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("text")).collect()
    }

    #[test]
    fn lines_go_to_file_and_feed_and_the_level_can_be_changed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (logger, guard, mut feed, problem) = build(Some(folder.path()), "info", 3).expect("starts");
        assert!(problem.is_none());
        subscriber::with_default(logger, || {
            info!(queue = "mail", count = 3, "sampled");
            debug!("too much");
            info!(target: "redis::aio", "not ours");
            warn!(target: "redis::aio", "worth knowing");
            guard.set_level("debug").expect("a level");
            debug!("not too much");
            assert!(guard.set_level("loud").is_err());
            guard.set_level("off,qtop::log=trace").expect("levels");
            trace!("of this module");
            error!(target: "qtop::engine", "switched off");
        });
        drop(guard);
        let lines =
            ["INFO sampled queue=mail count=3", "WARN worth knowing", "DEBUG not too much", "TRACE of this module"];
        assert_eq!(drain(&mut feed), lines);
        let text = written(folder.path());
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains("sampled queue=\"mail\" count=3"), "{text}");
    }

    #[test]
    fn a_full_feed_counts_what_it_drops() {
        let (logger, _guard, mut feed, _) = build(None, "info", 1).expect("starts");
        subscriber::with_default(logger, || (0..feed::CAPACITY + 7).for_each(|number| info!(number, "line")));
        assert_eq!(feed.dropped(), 7);
        assert_eq!(drain(&mut feed).len(), feed::CAPACITY);
    }

    #[test]
    fn r13_without_a_writable_folder_the_feed_still_works() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let blocked = folder.path().join("file");
        fs::write(&blocked, "").expect("written");
        let (logger, _guard, mut feed, problem) = build(Some(&blocked.join("logs")), "info", 1).expect("starts");
        let problem = problem.expect("there is no file");
        assert!(problem.to_string().contains("no log file in") && problem.remedy().is_some());
        subscriber::with_default(logger, || info!("still here"));
        assert_eq!(drain(&mut feed), ["INFO still here"]);
    }

    #[test]
    fn levels_are_levels() {
        for good in ["info", "WARN", "warn,qtop::link=debug", "off", " error , a=trace"] {
            assert!(targets(good).is_ok(), "{good}");
        }
        for bad in ["", "loud", "qtop", "info,", "a=loud", "3"] {
            assert!(targets(bad).is_err(), "{bad}");
        }
    }
}
