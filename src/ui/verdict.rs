//! How a queue is, in one sign and in words, from what the sample says about it.

use crate::app::rows::Figures;
use crate::domain::queue::{Count, Drain, Oldest, QueueSample, Severity};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::Phrase;
use crate::ui::scene::span_in;

/// Notes that tell why a queue is listed at all, though nothing is known of it or in it.
const QUIET: [&str; 2] = ["only_counter", "prefix_unknown"];

/// Condition of a queue, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Act now.
    Act,
    /// Look at it.
    Look,
    /// Paused on purpose.
    Paused,
    /// Nothing is known.
    Unknown,
    /// Fine.
    Fine,
}

impl Condition {
    /// Of a queue.
    pub fn of(sample: &QueueSample) -> Self {
        if sample.error.is_some() || sample.counts.iter().all(|(_, count)| *count == Count::Unknown) {
            return Self::Unknown;
        }
        if sample.conditions.paused == Some(true) {
            return Self::Paused;
        }
        if sample.warnings.iter().any(|warning| QUIET.contains(&warning.code)) {
            return Self::Unknown;
        }
        match sample.warnings.iter().map(|warning| warning.severity).max() {
            Some(Severity::Critical) => Self::Act,
            Some(Severity::Warn) => Self::Look,
            Some(Severity::Info) | None => Self::Fine,
        }
    }

    /// Its sign.
    pub fn mark(self, glyphs: &Glyphs) -> (Role, &'static str) {
        match self {
            Self::Act => (Role::Error, glyphs.act),
            Self::Look => (Role::Warn, glyphs.look),
            Self::Paused => (Role::Info, glyphs.paused),
            Self::Unknown => (Role::Muted, glyphs.unknown),
            Self::Fine => (Role::Ok, glyphs.fine),
        }
    }
}

/// The most important thing to say about a queue, in few words.
pub fn words(sample: &QueueSample, now: Timestamp) -> String {
    if let Some(error) = &sample.error {
        return format!("not read: {}", text::first_line(error, 200));
    }
    if let Some(worst) = worst(sample) {
        return worst.to_owned();
    }
    if sample.conditions.paused == Some(true) {
        return "paused".to_owned();
    }
    if let Some(until) = sample.conditions.rate_limited_until.filter(|until| *until > now) {
        return format!("rate limited for {}", text::age(until.until(now)));
    }
    if let Some(note) = sample.warnings.iter().find(|warning| QUIET.contains(&warning.code)) {
        return note.text.clone();
    }
    if sample.counts.iter().all(|(_, count)| *count == Count::Unknown) {
        return "nothing known yet".to_owned();
    }
    match sample.trend.drain {
        Drain::Empty => "nothing waits".to_owned(),
        Drain::In(span) if span.as_secs() == 0 => "keeps up".to_owned(),
        Drain::In(span) => format!("clear in {}", text::age(span)),
        Drain::Never { grows_per_s } if grows_per_s > 0.0 => format!("grows {}/s", text::rate(grows_per_s)),
        Drain::Never { .. } => "stands still".to_owned(),
        // A system in which nothing waits or runs may still say how it is.
        Drain::Unknown => match sample.facts.first() {
            Some((label @ "status", text)) => format!("{label} {text}"),
            _ => String::new(),
        },
    }
}

/// The most urgent warning that is more than information.
fn worst(sample: &QueueSample) -> Option<&str> {
    let urgent = sample.warnings.iter().filter(|warning| warning.severity > Severity::Info);
    // The first of the most urgent ones: adapters put the likeliest cause first.
    let mut worst: Option<&crate::domain::queue::Warning> = None;
    for warning in urgent {
        if worst.is_none_or(|worst| warning.severity > worst.severity) {
            worst = Some(warning);
        }
    }
    worst.map(|warning| warning.text.as_str())
}

/// One line about a queue: its sign, its name, the verdict, and the facts that carry it.
pub fn line(glyphs: &Glyphs, name: &str, sample: &QueueSample, figures: &Figures, now: Timestamp) -> Phrase {
    let (role, sign) = Condition::of(sample).mark(glyphs);
    let mut phrase = Phrase::of(role, sign).and(Role::Text, format!(" {name}"));
    let mut separator = ": ";
    let mut say = |role: Role, words: String| {
        if !words.is_empty() {
            phrase.push(Role::Text, separator);
            phrase.push(role, words);
            separator = "; ";
        }
    };
    let verdict = words(sample, now);
    say(if matches!(role, Role::Ok | Role::Muted) { Role::Text } else { role }, verdict.clone());
    if let Some(waiting) = figures.waiting.and_then(Count::value).filter(|waiting| *waiting > 0) {
        let oldest = match sample.oldest {
            Oldest::Since(moment) => format!(", oldest {}", text::age(moment.age(now))),
            Oldest::Nothing | Oldest::Unknown => String::new(),
        };
        // An adapter's own sentence may have told the number already.
        if !verdict.contains(&text::count(waiting)) {
            say(Role::Muted, format!("{} wait{oldest}", text::count(waiting)));
        }
    }
    if let Some(limit) = sample.conditions.concurrency {
        say(Role::Muted, format!("at most {} at once", text::count(limit)));
    }
    if let Some((jobs, span)) = sample.conditions.rate_limit {
        say(Role::Muted, format!("limit {} per {}", text::count(jobs), text::span(span)));
    }
    if let Some(finished) = sample.last_finished {
        say(Role::Muted, format!("last finished {} ago", text::age(finished.age(now))));
    }
    phrase
}

/// The column `CLEAR`: when the backlog will be gone.
pub fn clear(sample: &QueueSample, columns: u16) -> Phrase {
    if sample.conditions.paused == Some(true) {
        return Phrase::of(Role::Info, "paused");
    }
    match sample.trend.drain {
        Drain::Empty => Phrase::of(Role::Muted, "0s"),
        Drain::In(span) => Phrase::of(Role::Text, span_in(span, usize::from(columns))),
        // A queue of which nothing worse is said may well have one job more than a minute ago.
        Drain::Never { .. } if Condition::of(sample) == Condition::Fine => Phrase::of(Role::Text, "never"),
        Drain::Never { .. } => Phrase::of(Role::Warn, "never"),
        Drain::Unknown => Phrase::of(Role::Muted, "?"),
    }
}

/// The column `OLDEST`.
pub fn oldest(glyphs: &Glyphs, oldest: Oldest, now: Timestamp, columns: u16) -> Phrase {
    match oldest {
        Oldest::Since(moment) => Phrase::of(Role::Text, span_in(moment.age(now), usize::from(columns))),
        Oldest::Nothing => Phrase::of(Role::Muted, glyphs.zero),
        Oldest::Unknown => Phrase::of(Role::Muted, "?"),
    }
}

/// `2/3 busy`, `3`, `none`, `?`.
pub fn workers(sample: &QueueSample) -> Phrase {
    match (sample.workers.alive, sample.workers.busy) {
        (Some(0), _) => Phrase::of(Role::Warn, "none"),
        (Some(alive), Some(busy)) => {
            Phrase::of(Role::Text, format!("{}/{} busy", text::count(busy), text::count(alive)))
        }
        (Some(alive), None) => Phrase::of(Role::Text, text::count(alive)),
        (None, _) => Phrase::of(Role::Muted, "?"),
    }
}
