//! What follows from a failure: by its code, its message, and what the job itself asked for.

use super::super::work::{Ending, Failure};
use super::lines::Again;
use crate::config::Sign;

/// Signs of failures that pass and of failures that stay.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    retry_on: Vec<Sign>,
    fail_on: Vec<Sign>,
}

impl Rules {
    pub(super) fn of(config: &crate::config::Handler) -> Self {
        Self { retry_on: config.retry_on.clone(), fail_on: config.fail_on.clone() }
    }

    /// True if `retry_on` names this failure.
    pub(super) fn passes(&self, code: Option<u16>, message: &str) -> bool {
        self.retry_on.iter().any(|sign| sign.fits(code, message))
    }

    /// Judges a failure: the job's own word comes first, then `retry_on`, then `fail_on`; else it is tried again.
    pub(super) fn judge(&self, code: Option<u16>, failure: Failure, again: Again) -> Ending {
        let fits = |signs: &[Sign]| signs.iter().any(|sign| sign.fits(code, &failure.message));
        match again {
            Again::Never => Ending::Failed(failure),
            Again::Yes(after) => Ending::Retry { failure, after },
            Again::AsConfigured if !fits(&self.retry_on) && fits(&self.fail_on) => Ending::Failed(failure),
            Again::AsConfigured => Ending::Retry { failure, after: None },
        }
    }
}

/// How a signal is called, with its number.
pub(super) fn signal_name(number: i32) -> String {
    const NAMES: [(i32, &str); 15] = [
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGQUIT, "SIGQUIT"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGXCPU, "SIGXCPU"),
        (libc::SIGXFSZ, "SIGXFSZ"),
        (libc::SIGSYS, "SIGSYS"),
    ];
    match NAMES.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => format!("{name} ({number})"),
        None => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_the_job_comes_before_the_configuration() {
        let rules =
            Rules { retry_on: vec![Sign::Code(75)], fail_on: vec![Sign::Code(75), Sign::Text("INVALID".to_owned())] };
        let judge = |code, message: &str, again| rules.judge(code, Failure::new(message), again);
        assert!(matches!(judge(Some(1), "busy", Again::AsConfigured), Ending::Retry { .. }));
        assert!(matches!(judge(Some(75), "busy", Again::AsConfigured), Ending::Retry { .. }), "retry_on comes first");
        assert!(matches!(judge(Some(1), "INVALID_SIGNATURE", Again::AsConfigured), Ending::Failed(_)));
        assert!(matches!(judge(Some(1), "INVALID_SIGNATURE", Again::Yes(None)), Ending::Retry { .. }));
        assert!(matches!(judge(Some(75), "busy", Again::Never), Ending::Failed(_)));
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_name(libc::SIGSEGV), "SIGSEGV (11)");
        assert_eq!(signal_name(42), "signal 42");
    }
}
