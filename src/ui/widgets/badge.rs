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
    let (role, sign, word) = match worker.state {
        Liveness::Live if worker.paused == Some(true) => (Role::Info, glyphs.paused, "paused"),
        Liveness::Live => (Role::Ok, glyphs.fine, "live"),
        Liveness::Stale => (Role::Warn, glyphs.look, "stale"),
        Liveness::Gone => (Role::Error, glyphs.act, "gone"),
        Liveness::Unknown => (Role::Muted, glyphs.unknown, "?"),
    };
    Phrase::of(role, format!("{sign} {word}"))
}
