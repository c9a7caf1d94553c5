//! Marks and words that say how something is at a glance; each mark has its own sign, so that none needs its colour.

use crate::domain::queue::Severity;
use crate::domain::worker::{Liveness, Worker};
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::Phrase;

/// The sign of a severity.
pub fn severity(glyphs: &Glyphs, severity: Severity) -> (Role, &'static str) {
    match severity {
        Severity::Info => (Role::Info, glyphs.dot),
        Severity::Warn => (Role::Warn, glyphs.look),
        Severity::Critical => (Role::Error, glyphs.act),
    }
}

/// Sign and word of a worker's liveness.
pub fn liveness(glyphs: &Glyphs, worker: &Worker) -> Phrase {
    let word = worker.word();
    let (role, sign, word) = match (worker.state, word) {
        (Liveness::Live, "live") => (Role::Ok, glyphs.fine, word),
        (Liveness::Live, "paused") => (Role::Info, glyphs.paused, word),
        // A runner's pool that takes no jobs although nobody told it so, or that ends.
        (Liveness::Live | Liveness::Stale, _) => (Role::Warn, glyphs.look, word),
        (Liveness::Gone, _) => (Role::Error, glyphs.act, word),
        (Liveness::Unknown, _) => (Role::Muted, glyphs.unknown, "?"),
    };
    Phrase::of(role, format!("{sign} {word}"))
}
