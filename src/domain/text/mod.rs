//! Text for people: harmless on a terminal (S3), cut to a width (U19), and numbers, ages and sizes short enough for a
//! column.
//!
//! Knows no colours and no widgets. Whatever came out of Redis passes [`harmless`] (or [`fit`], [`pad`], [`lines`],
//! which call it) before it reaches a screen, a log, a title, a message or the clipboard; adapters keep it raw.

mod figures;
mod fitting;
mod safety;

pub use figures::{age, age_in, count, counted, micros, percent, rate, size, span, span_of};
pub use fitting::{ascii, fit, fit_end, fit_middle, pad, pad_start, width};
pub use safety::{MAX_COMBINING_MARKS, first_line, harmless, harmless_bytes, is_harmless, lines};

#[cfg(test)]
mod tests;
