//! Cells of every table that shows jobs.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use crate::app::views::ProgressTrack;
use crate::domain::job::JobRow;
use crate::domain::text;
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::Phrase;
use crate::ui::scene::{Scene, span_in};
use crate::ui::widgets::bar::{self, Motion};
use crate::ui::widgets::table::Placed;

/// How a job has moved since it is watched.
pub fn motion(track: Option<&ProgressTrack>, now: Instant) -> Motion {
    let Some(track) = track else { return Motion::default() };
    let still = now.saturating_duration_since(track.last.1);
    Motion { rate: track.rate(), eta: track.eta().map(|eta| eta.saturating_sub(still)), still: Some(still) }
}

/// An id in so many columns. Ids of moments, as a stream gives them, begin alike and differ at the end.
fn short_id(id: &str, columns: usize) -> Cow<'_, str> {
    let moments = id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if moments { text::fit_end(id, columns) } else { text::fit_middle(id, columns) }
}

/// What a job says in a column.
pub fn cell(scene: &Scene<'_>, glyphs: &Glyphs, job: &JobRow, motion: Motion, placed: &Placed) -> Phrase {
    let columns = usize::from(placed.width);
    let moment = |moment: Option<_>| match moment {
        Some(moment) => Phrase::of(Role::Text, scene.past(moment, columns)),
        None => Phrase::of(Role::Muted, "?"),
    };
    match placed.column.name {
        "id" => Phrase::of(Role::Text, short_id(&job.id.to_text(), columns)),
        "name" if !job.record_exists => Phrase::of(Role::Warn, "record gone"),
        "name" => match &job.name {
            Some(name) => Phrase::of(Role::Text, name),
            None => Phrase::of(Role::Muted, glyphs.zero),
        },
        _ if !job.record_exists => Phrase::new(),
        "progress" => bar::cell(glyphs, job.progress.as_ref(), motion, placed.width),
        "attempts" => attempts(job),
        "due" => match job.run_at {
            Some(at) if at <= scene.now => Phrase::of(Role::Warn, "due"),
            Some(at) => Phrase::of(Role::Text, scene.future(at, columns)),
            None => Phrase::of(Role::Muted, "?"),
        },
        "ended" => moment(job.finished_at),
        "age" => moment(job.created_at),
        "wait" => span(job.waited(scene.now), columns),
        "run" => span(job.ran(scene.now), columns),
        "lock" => lock(job, columns),
        "worker" => match &job.worker {
            Some(worker) => Phrase::of(Role::Text, text::fit_middle(worker, columns)),
            None => Phrase::of(Role::Muted, "?"),
        },
        "priority" => match job.priority {
            Some(0) | None => Phrase::of(Role::Muted, glyphs.zero),
            Some(priority) => Phrase::of(Role::Text, priority.to_string()),
        },
        "size" => match job.payload_bytes {
            Some(bytes) => Phrase::of(Role::Muted, text::size(bytes)),
            None => Phrase::of(Role::Muted, "?"),
        },
        "error" => job.error.as_deref().map_or_else(Phrase::new, |error| Phrase::of(Role::StateFailed, error)),
        _ => Phrase::new(),
    }
}

fn span(span: Option<Duration>, columns: usize) -> Phrase {
    match span {
        Some(span) if span.as_secs() == 0 => Phrase::of(Role::Text, text::span(span)),
        Some(span) => Phrase::of(Role::Text, span_in(span, columns)),
        None => Phrase::of(Role::Muted, "?"),
    }
}

fn lock(job: &JobRow, columns: usize) -> Phrase {
    match job.lease.as_ref().map(|lease| lease.left) {
        Some(Some(left)) if left.is_zero() => Phrase::of(Role::Error, "none"),
        Some(Some(left)) => Phrase::of(Role::Muted, span_in(left, columns)),
        Some(None) => Phrase::of(Role::Muted, "no end"),
        None => Phrase::of(Role::Muted, "?"),
    }
}

fn attempts(job: &JobRow) -> Phrase {
    match (job.attempts_made, job.attempts_max) {
        (Some(made), Some(max)) if made >= max && max > 1 => Phrase::of(Role::Warn, format!("{made}/{max}")),
        (Some(made), Some(max)) => Phrase::of(Role::Text, format!("{made}/{max}")),
        (Some(made), None) => Phrase::of(Role::Text, made.to_string()),
        (None, _) => Phrase::of(Role::Muted, "?"),
    }
}
