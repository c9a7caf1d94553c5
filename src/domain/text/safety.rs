//! Making text that others wrote harmless: nothing in it can move the cursor, reorder or hide what is beside it.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

/// Marks kept on one base character; the rest of such a pile is replaced by one `…`.
pub const MAX_COMBINING_MARKS: usize = 8;

/// Stands under a combining mark that has no base, so that it cannot climb onto what is drawn before it.
const DOTTED_CIRCLE: char = '\u{25CC}';

/// `text` with visible substitutes for everything that controls a terminal or cannot be seen (S3).
///
/// C0 and DEL become control pictures (`␊`, `␛`, `␡`); C1, bidirectional controls, zero-width and other invisible
/// characters, line and paragraph separators, private use and non-characters become `<U+XXXX>`. Line ends are controls
/// too: use [`lines`] for text of several lines. Borrowed unless something had to change; applying it twice changes
/// nothing more.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if is_harmless(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    push_harmless(&mut out, text);
    Cow::Owned(out)
}

/// As [`harmless`] for bytes of unknown encoding: what is not UTF-8 becomes `\xNN`.
pub fn harmless_bytes(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return harmless(text);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        push_harmless(&mut out, chunk.valid());
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    Cow::Owned(out)
}

/// True if [`harmless`] would change nothing.
pub fn is_harmless(text: &str) -> bool {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return true;
    }
    let mut marks = 0;
    let mut has_base = false;
    text.chars().all(|c| {
        if is_mark(c) {
            marks += 1;
            has_base && marks <= MAX_COMBINING_MARKS
        } else {
            marks = 0;
            has_base = true;
            !needs_substitute(c)
        }
    })
}

/// The lines of a longer text, each harmless, tabs widened to the next multiple of four. `\r\n` counts as one line end.
pub fn lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.lines().map(|line| {
        if !line.contains('\t') {
            return harmless(line);
        }
        let mut out = String::with_capacity(line.len() + 16);
        for (index, part) in line.split('\t').enumerate() {
            if index > 0 {
                let column = super::width(&out);
                out.extend(std::iter::repeat_n(' ', 4 - column % 4));
            }
            push_harmless(&mut out, part);
        }
        Cow::Owned(out)
    })
}

/// The first line that is not blank, trimmed and harmless, at most `max` characters; for error columns.
pub fn first_line(text: &str, max: usize) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let cut = line.char_indices().nth(max).map_or(line, |(end, _)| &line[..end]);
    harmless(cut).into_owned()
}

fn push_harmless(out: &mut String, text: &str) {
    let mut marks = 0;
    let mut has_base = !out.is_empty();
    for c in text.chars() {
        if is_mark(c) {
            if !has_base {
                out.push(DOTTED_CIRCLE);
                has_base = true;
            }
            marks += 1;
            match marks {
                0..=MAX_COMBINING_MARKS => out.push(c),
                // One sign for the whole pile: the next mark finds the count even higher.
                count if count == MAX_COMBINING_MARKS + 1 => out.push('…'),
                _ => {}
            }
            continue;
        }
        marks = 0;
        has_base = true;
        match c {
            '\0'..='\x1f' => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{FFFD}')),
            '\x7f' => out.push('\u{2421}'),
            c if needs_substitute(c) => {
                write!(out, "<U+{:04X}>", u32::from(c)).expect("writing to a String cannot fail");
            }
            c => out.push(c),
        }
    }
}

/// Drawn onto the character before it. The two variation selectors that choose between text and picture style belong
/// here: they change the look of their base only.
fn is_mark(c: char) -> bool {
    if matches!(c, '\u{FE0E}' | '\u{FE0F}') {
        return true;
    }
    c.width() == Some(0) && !needs_substitute(c)
}

/// Controls, characters without a look of their own, and characters whose look nobody can know.
fn needs_substitute(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        // Soft hyphen, grapheme joiner, letter mark, fillers, inherent vowels, Mongolian selectors.
        | '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{3164}' | '\u{FFA0}'
        // Zero-width, direction marks, separators, embeddings, overrides, isolates, invisible operators.
        | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        // Variation selectors but the two of `is_mark`, byte order mark, annotations, shorthand, music, tags.
        | '\u{FE00}'..='\u{FE0D}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}'
        // Private use and non-characters.
        | '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}' | '\u{FDD0}'..='\u{FDEF}')
        || u32::from(c) & 0xFFFE == 0xFFFE
}
