//! Progress of a job: a bar, the number, the job's own words, and how it moves.

use std::time::Duration;

use crate::domain::job::Progress;
use crate::domain::text;
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::Phrase;

/// A job that has not moved for so long is worth a look.
pub const STUCK_AFTER: Duration = Duration::from_secs(60);

/// How a job's progress moves, as far as qtop has watched it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Motion {
    /// Percent per second.
    pub rate: Option<f64>,
    /// Time left at that rate.
    pub eta: Option<Duration>,
    /// Time since the last step forward.
    pub still: Option<Duration>,
}

impl Motion {
    /// The time it has not moved, if that is long.
    pub fn stuck(&self) -> Option<Duration> {
        self.still.filter(|still| *still >= STUCK_AFTER)
    }
}

/// Share that is done, 0 to 100, from the percentage or the steps.
pub fn percent(progress: &Progress) -> Option<f64> {
    progress.percent.or_else(|| match (progress.step, progress.total) {
        (Some(step), Some(total)) if total > 0 => Some(step as f64 * 100.0 / total as f64),
        _ => None,
    })
}

/// A bar of `width` columns. Full only at 100, empty only at 0.
pub fn blocks(glyphs: &Glyphs, percent: f64, width: u16, stuck: bool) -> Phrase {
    let width = usize::from(width);
    let share = if percent.is_finite() { percent.clamp(0.0, 100.0) / 100.0 } else { 0.0 };
    let done = match (share * width as f64).round() as usize {
        0 if share > 0.0 => 1,
        all if all >= width && share < 1.0 => width.saturating_sub(1),
        some => some,
    };
    let done = done.min(width);
    Phrase::of(if stuck { Role::ProgressStuck } else { Role::ProgressDone }, glyphs.bar_done.repeat(done))
        .and(Role::ProgressRest, glyphs.bar_rest.repeat(width - done))
}

/// Progress in at most `width` columns of a table: bar and percentage first, then what fits of: not moving since, time
/// left, the job's words, steps.
pub fn cell(glyphs: &Glyphs, progress: Option<&Progress>, motion: Motion, width: u16) -> Phrase {
    let Some(progress) = progress else {
        let words = if width >= 20 { "no progress reported" } else { "none reported" };
        return Phrase::of(Role::Muted, words);
    };
    let Some(percent) = percent(progress) else {
        return match (&progress.text, progress.step) {
            (Some(words), _) => Phrase::of(Role::Text, words),
            (None, Some(step)) => Phrase::of(Role::Text, format!("step {}", text::count(step))),
            (None, None) => Phrase::of(Role::Muted, "in its own form"),
        };
    };
    let stuck = motion.stuck();
    // What stands still must say so even where that costs the bar some of its length.
    let reserved = stuck.map_or(5, |_| 11);
    let mut phrase = blocks(glyphs, percent, width.saturating_sub(reserved).clamp(1, 10), stuck.is_some());
    phrase.push(if stuck.is_some() { Role::Warn } else { Role::Text }, format!(" {:>4}", text::percent(percent)));
    for extra in extras(glyphs, progress, motion) {
        if phrase.width() + 1 + extra.width() <= width {
            phrase.push(Role::Text, " ");
            phrase.append(extra);
        }
    }
    phrase
}

/// The whole line of the Job screen: bar, percentage, words, steps, rate, time left, standing still.
pub fn full(glyphs: &Glyphs, progress: &Progress, motion: Motion, width: u16) -> Phrase {
    let stuck = motion.stuck();
    let mut phrase = Phrase::new();
    if let Some(percent) = percent(progress) {
        phrase.append(blocks(glyphs, percent, (width / 4).clamp(10, 40), stuck.is_some()));
        phrase.push(if stuck.is_some() { Role::Warn } else { Role::Text }, format!(" {}", text::percent(percent)));
    }
    if let Some(words) = &progress.text {
        phrase.push(Role::Text, format!(" {words}"));
    }
    if let (Some(step), Some(total)) = (progress.step, progress.total) {
        phrase.push(Role::Muted, format!("  {}/{}", text::count(step), text::count(total)));
    }
    match (stuck, motion.rate, motion.eta) {
        (Some(still), _, _) => phrase.push(Role::Warn, format!("  has not moved for {}", text::age(still))),
        (None, Some(rate), eta) => {
            phrase.push(Role::Muted, format!("  {}%/s", text::rate(rate)));
            if let Some(eta) = eta {
                phrase.push(Role::Muted, format!("  eta {}", text::age(eta)));
            }
        }
        (None, None, _) => {}
    }
    phrase
}

fn extras(glyphs: &Glyphs, progress: &Progress, motion: Motion) -> Vec<Phrase> {
    let mut extras = Vec::new();
    if let Some(still) = motion.stuck() {
        extras.push(Phrase::of(Role::Warn, format!("{} {}", glyphs.look, short_span(still))));
    } else if let Some(eta) = motion.eta {
        extras.push(Phrase::of(Role::Muted, format!("eta {}", text::age_in(eta, 4))));
    }
    if let (Some(step), Some(total)) = (progress.step, progress.total) {
        extras.push(Phrase::of(Role::Muted, format!("{}/{}", text::count(step), text::count(total))));
    }
    if let Some(words) = progress.text.as_deref().filter(|words| !words.is_empty()) {
        extras.push(Phrase::of(Role::Text, text::fit(words, 16)));
    }
    extras
}

/// `95s`, `12m`: seconds matter longer here than elsewhere.
fn short_span(span: Duration) -> String {
    if span.as_secs() < 100 { format!("{}s", span.as_secs()) } else { text::age_in(span, 4) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::UNICODE;

    fn words(phrase: &Phrase) -> String {
        phrase.pieces().iter().map(|(_, words)| words.as_str()).collect()
    }

    fn at(percent: f64) -> Progress {
        Progress { percent: Some(percent), ..Progress::default() }
    }

    #[test]
    fn a_bar_is_full_only_at_the_end_and_empty_only_at_the_start() {
        assert_eq!(words(&blocks(&UNICODE, 0.0, 5, false)), "▱▱▱▱▱");
        assert_eq!(words(&blocks(&UNICODE, 0.4, 5, false)), "▰▱▱▱▱");
        assert_eq!(words(&blocks(&UNICODE, 99.9, 5, false)), "▰▰▰▰▱");
        assert_eq!(words(&blocks(&UNICODE, 100.0, 5, false)), "▰▰▰▰▰");
        assert_eq!(words(&blocks(&UNICODE, f64::NAN, 5, false)), "▱▱▱▱▱");
        assert_eq!(words(&blocks(&UNICODE, 1e300, 5, false)), "▰▰▰▰▰");
    }

    #[test]
    fn what_stands_still_says_so_and_gives_no_time_left() {
        let motion =
            Motion { rate: Some(1.0), eta: Some(Duration::from_secs(9)), still: Some(Duration::from_secs(95)) };
        assert_eq!(words(&cell(&UNICODE, Some(&at(10.0)), motion, 30)), "▰▱▱▱▱▱▱▱▱▱  10% ▲ 95s");
        let full = words(&full(&UNICODE, &at(10.0), motion, 80));
        assert!(full.contains("has not moved for 1m 35s") && !full.contains("eta"), "{full}");
    }

    #[test]
    fn without_a_rate_there_is_no_time_left() {
        assert!(!words(&full(&UNICODE, &at(10.0), Motion::default(), 80)).contains("eta"));
    }

    #[test]
    fn a_job_that_reports_nothing_is_not_at_zero() {
        assert_eq!(words(&cell(&UNICODE, None, Motion::default(), 24)), "no progress reported");
    }
}
