//! Sparklines: the shape of a series in one line, newest value at the right.

use crate::theme::{Glyphs, Role};
use crate::ui::canvas::Phrase;

/// The newest samples in at most `width` columns, from zero to the highest of the series. A missing sample is a space.
pub fn line(glyphs: &Glyphs, samples: &[u64], width: u16, role: Role) -> Phrase {
    let width = usize::from(width);
    let shown = &samples[samples.len().saturating_sub(width)..];
    let highest = samples.iter().copied().max().unwrap_or(0);
    let mut out = " ".repeat(width - shown.len());
    out.extend(shown.iter().map(|value| glyphs.spark[level(*value, highest, glyphs.spark.len())]));
    Phrase::of(if highest == 0 { Role::Muted } else { role }, out)
}

/// The rows of a taller chart, top row first, each `width` columns.
pub fn chart(glyphs: &Glyphs, samples: &[u64], width: u16, rows: u16, role: Role) -> Vec<Phrase> {
    let width = usize::from(width);
    let shown = &samples[samples.len().saturating_sub(width)..];
    let highest = shown.iter().copied().max().unwrap_or(0).max(1);
    let steps = u64::from(rows) * glyphs.spark.len() as u64;
    let heights: Vec<u64> = shown
        .iter()
        .map(|value| {
            let height = u128::from(*value) * u128::from(steps) / u128::from(highest);
            let height = u64::try_from(height).unwrap_or(steps);
            if *value > 0 { height.max(1) } else { 0 }
        })
        .collect();
    (0..u64::from(rows))
        .rev()
        .map(|row| {
            let below = row * glyphs.spark.len() as u64;
            let mut out = " ".repeat(width - shown.len());
            out.extend(heights.iter().map(|height| match height.saturating_sub(below) {
                0 if row == 0 => glyphs.spark[0],
                0 => " ",
                part => glyphs.spark[usize::try_from(part).unwrap_or(usize::MAX).min(glyphs.spark.len()) - 1],
            }));
            Phrase::of(role, out)
        })
        .collect()
}

/// Which of `levels` signs stands for `value`. Only zero gets the lowest once something is above it.
fn level(value: u64, highest: u64, levels: usize) -> usize {
    if highest == 0 || value == 0 {
        return 0;
    }
    let scaled = u128::from(value) * (levels as u128 - 1) / u128::from(highest);
    usize::try_from(scaled).unwrap_or(levels - 1).clamp(1, levels - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::UNICODE;

    fn drawn(samples: &[u64], width: u16) -> String {
        line(&UNICODE, samples, width, Role::ChartBacklog).pieces().iter().map(|(_, words)| words.as_str()).collect()
    }

    #[test]
    fn the_newest_sample_is_at_the_right() {
        assert_eq!(drawn(&[0, 1, 4, 8], 6), "  ▁▂▄█");
        assert_eq!(drawn(&[9, 9, 0, 9], 2), "▁█");
        assert_eq!(drawn(&[], 3), "   ");
        assert_eq!(drawn(&[u64::MAX, 0], 2), "█▁");
    }

    #[test]
    fn a_chart_fills_its_rows_from_below() {
        let rows: Vec<String> = chart(&UNICODE, &[0, 8, 16], 3, 2, Role::ChartBacklog)
            .iter()
            .map(|row| row.pieces().iter().map(|(_, words)| words.as_str()).collect())
            .collect();
        assert_eq!(rows, ["  █", "▁██"]);
    }
}
