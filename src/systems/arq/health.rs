//! The text a worker writes of itself: `Nov-21 21:04:28 j_complete=0 j_failed=0 j_retried=0 j_ongoing=2 queued=4`.
//!
//! All workers of a queue write the same key, the last one wins; a worker that stops deletes it, even if others live.
//! The time has no year and no zone, so that only the key's time to live dates it.

/// What a runner of qtop writes before its name, behind all that the library writes.
pub const MARK: &str = " qtop=";

/// Counters of one worker process since its start.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Health {
    /// Jobs that ended well.
    pub complete: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Jobs that asked to be tried again.
    pub retried: u64,
    /// Jobs it ran when it wrote this.
    pub ongoing: u64,
    /// Jobs in the queue then, running and deferred ones included.
    pub queued: u64,
    /// The runner of qtop that wrote it.
    pub runner: Option<String>,
}

impl Health {
    /// Reads the text; `None` if it is none of ARQ's.
    pub fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let value = text.split_whitespace().find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            value.and_then(|value| value.parse().ok())
        };
        Some(Self {
            complete: field("j_complete")?,
            failed: field("j_failed")?,
            retried: field("j_retried")?,
            ongoing: field("j_ongoing")?,
            queued: field("queued")?,
            runner: text.split_once(MARK).map(|(_, runner)| runner.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_in_any_locale() {
        let text = "März-01 21:04:28 j_complete=5 j_failed=1 j_retried=2 j_ongoing=3 queued=4";
        let expected = Health { complete: 5, failed: 1, retried: 2, ongoing: 3, queued: 4, runner: None };
        assert_eq!(Health::parse(text), Some(expected.clone()));
        let own = Health { runner: Some("my box-1".to_owned()), ..expected };
        assert_eq!(Health::parse(&format!("{text} qtop=my box-1")), Some(own));
        assert_eq!(Health::parse("ok"), None);
        assert_eq!(Health::parse("j_complete=x"), None);
    }
}
