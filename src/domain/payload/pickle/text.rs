//! Scalars of a pickle as text.

use std::fmt::Write;

use super::super::tree::Stop;
use super::ops::Arg;

/// Bytes of a number that are turned into digits; the work grows with the square.
const MOST_DIGIT_BYTES: usize = 256;

/// The text of one of the string instructions.
pub(super) fn string(code: u8, arg: &Arg<'_>) -> Result<String, Stop> {
    match (code, arg) {
        (b'S', Arg::Line(line)) => quoted(line),
        (b'V', Arg::Line(line)) => Ok(raw_unicode(line)),
        (_, Arg::Bytes(bytes)) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        _ => Err(Stop::Syntax),
    }
}

/// A Python string literal of protocol 0.
fn quoted(line: &[u8]) -> Result<String, Stop> {
    let quote = line.first().copied().filter(|first| matches!(first, b'\'' | b'"')).ok_or(Stop::Syntax)?;
    let inner = line[1..].strip_suffix(&[quote]).ok_or(Stop::Syntax)?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (escape, after) = rest.split_first().ok_or(Stop::Syntax)?;
        rest = after;
        match escape {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'x' => {
                let digits = rest.get(..2).ok_or(Stop::Syntax)?;
                let digits = std::str::from_utf8(digits).map_err(|_| Stop::Syntax)?;
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| Stop::Syntax)?);
                rest = &rest[2..];
            }
            other => bytes.push(*other),
        }
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| latin(error.as_bytes())))
}

/// Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
fn raw_unicode(line: &[u8]) -> String {
    let mut out = String::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        let digits = match line.get(at..at + 2) {
            Some(b"\\u") => 4,
            Some(b"\\U") => 8,
            _ => 0,
        };
        let code = line.get(at + 2..at + 2 + digits).filter(|_| digits > 0);
        let code = code.and_then(|code| u32::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match code {
            Some(code) => {
                out.push(char::from_u32(code).unwrap_or('\u{FFFD}'));
                at += 2 + digits;
            }
            None => {
                out.push(char::from(line[at]));
                at += 1;
            }
        }
    }
    out
}

fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The bytes of a text whose characters are all below 256.
pub(super) fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// `module.name`, built-in things without their module.
pub(super) fn global(module: &[u8], name: &[u8]) -> Box<str> {
    let (module, name) = (String::from_utf8_lossy(module), String::from_utf8_lossy(name));
    match &*module {
        "builtins" | "__builtin__" | "exceptions" => name.into_owned().into(),
        _ => format!("{module}.{name}").into(),
    }
}

/// Digits of a line, with or without Python 2's `L`.
pub(super) fn digits(line: &[u8]) -> Result<String, Stop> {
    let text = std::str::from_utf8(line).map_err(|_| Stop::Syntax)?.trim();
    let text = text.strip_suffix('L').unwrap_or(text);
    let bare = text.strip_prefix('-').unwrap_or(text);
    let good = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    if good { Ok(text.to_owned()) } else { Err(Stop::Syntax) }
}

/// Decimal digits of a little-endian two's complement number; very long ones in hexadecimal.
pub(super) fn big(bytes: &[u8]) -> String {
    let negative = bytes.last().is_some_and(|top| top & 0x80 != 0);
    let mut magnitude = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in &mut magnitude {
            let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
            *byte = sum;
            carry = over;
        }
    }
    while magnitude.last() == Some(&0) {
        magnitude.pop();
    }
    let mut out = String::from(if negative { "-" } else { "" });
    if magnitude.len() > MOST_DIGIT_BYTES {
        let count = magnitude.len();
        let _ = write!(out, "0x");
        magnitude.iter().rev().take(32).for_each(|byte| {
            let _ = write!(out, "{byte:02x}");
        });
        let _ = write!(out, "… ({count} bytes)");
        return out;
    }
    let mut groups: Vec<u32> = Vec::new();
    while magnitude.iter().any(|byte| *byte != 0) {
        let mut rest: u64 = 0;
        for byte in magnitude.iter_mut().rev() {
            let value = rest << 8 | u64::from(*byte);
            *byte = u8::try_from(value / 1_000_000_000).unwrap_or(0);
            rest = value % 1_000_000_000;
        }
        groups.push(u32::try_from(rest).unwrap_or(0));
    }
    match groups.split_last() {
        None => "0".to_owned(),
        Some((first, others)) => {
            let _ = write!(out, "{first}");
            others.iter().rev().for_each(|group| {
                let _ = write!(out, "{group:09}");
            });
            out
        }
    }
}
