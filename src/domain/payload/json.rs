//! Reading JSON without recursion and without losing anything.
//!
//! Not `serde_json`, because a payload is looked at, not used: the text of numbers, doubled names and the order must
//! stay; a payload of which only the first 64 KiB were fetched must still give a tree; and nesting must not cost stack.

use std::borrow::Cow;

use bytes::Bytes;

use super::tree::{Builder, Kind, Span, Stop, Tree, Writing};
use super::{Limits, is_utf8};

/// True if the first character can begin a JSON document.
pub(super) fn may_be(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|byte| !is_space(**byte));
    first.is_some_and(|byte| b"{[\"-0123456789tfnNI".contains(byte))
}

/// Reads one document. Of a cut one everything that was begun is kept.
pub(super) fn read(bytes: &Bytes, cut: bool, limits: &Limits) -> Result<Tree, Stop> {
    if !is_utf8(bytes, cut) {
        return Err(Stop::Syntax);
    }
    let mut reader = Reader { bytes, at: 0, after: After::Value, builder: Builder::new(limits) };
    match reader.document() {
        Ok(limited) => Ok(reader.builder.finish(bytes.clone(), Writing::JsonEscapes, limited)),
        // A cut scalar proves nothing: `Not found …` begins like a number of Python's.
        Err(Stop::End) if cut && reader.builder.inside().is_some() => {
            Ok(reader.builder.finish(bytes.clone(), Writing::JsonEscapes, false))
        }
        Err(stop) => Err(stop),
    }
}

/// What was read last inside the innermost container.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Opening,
    Comma,
    Value,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    after: After,
    builder: Builder,
}

impl Reader<'_> {
    /// True if it was left because there are too many values.
    fn document(&mut self) -> Result<bool, Stop> {
        let mut complete = self.value(None)?;
        while !complete {
            if self.builder.is_full() {
                return Ok(true);
            }
            complete = self.item()?;
        }
        self.skip_space();
        if self.at == self.bytes.len() { Ok(false) } else { Err(Stop::Syntax) }
    }

    /// The next comma, item or end of the innermost container; true if the whole document is complete.
    fn item(&mut self) -> Result<bool, Stop> {
        let map = self.builder.inside() == Some(Kind::Map);
        let close = if map { b'}' } else { b']' };
        self.skip_space();
        let next = self.peek()?;
        if next == close && self.after != After::Comma {
            self.at += 1;
            self.after = After::Value;
            return Ok(self.builder.end());
        }
        if self.after == After::Value {
            if next != b',' {
                return Err(Stop::Syntax);
            }
            self.at += 1;
            self.after = After::Comma;
            return Ok(false);
        }
        if !map {
            return self.value(None);
        }
        let name = self.string()?;
        self.skip_space();
        if self.peek()? != b':' {
            return Err(Stop::Syntax);
        }
        self.at += 1;
        self.value(Some(name))
    }

    fn value(&mut self, name: Option<Span>) -> Result<bool, Stop> {
        self.skip_space();
        let start = self.at;
        match self.peek()? {
            open @ (b'{' | b'[') => {
                self.at += 1;
                self.after = After::Opening;
                self.builder.begin(if open == b'{' { Kind::Map } else { Kind::Seq }, name)?;
                return Ok(false);
            }
            b'"' => match self.string() {
                Ok(text) => self.builder.scalar(Kind::String, name, text),
                Err(stop) => {
                    if stop == Stop::End && self.builder.inside().is_some() {
                        self.builder.scalar(Kind::String, name, Span::new(start + 1, self.bytes.len()));
                    }
                    return Err(stop);
                }
            },
            b't' => self.word(b"true", Kind::Bool, name)?,
            b'f' => self.word(b"false", Kind::Bool, name)?,
            b'n' => self.word(b"null", Kind::Null, name)?,
            b'N' => self.word(b"NaN", Kind::Number, name)?,
            b'I' => self.word(b"Infinity", Kind::Number, name)?,
            b'-' if self.bytes.get(self.at + 1) == Some(&b'I') => self.word(b"-Infinity", Kind::Number, name)?,
            b'-' | b'0'..=b'9' => {
                self.number()?;
                self.builder.scalar(Kind::Number, name, Span::new(start, self.at));
            }
            _ => return Err(Stop::Syntax),
        }
        self.after = After::Value;
        Ok(self.builder.inside().is_none())
    }

    fn word(&mut self, word: &[u8], kind: Kind, name: Option<Span>) -> Result<(), Stop> {
        let rest = &self.bytes[self.at..];
        if !rest.starts_with(word) {
            return Err(if word.starts_with(rest) { Stop::End } else { Stop::Syntax });
        }
        self.builder.scalar(kind, name, Span::new(self.at, self.at + word.len()));
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Stop> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek()?, b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Stop> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        match (self.at > start, self.at == self.bytes.len()) {
            (true, _) => Ok(()),
            (false, true) => Err(Stop::End),
            (false, false) => Err(Stop::Syntax),
        }
    }

    /// The inside of a string, escapes untouched.
    fn string(&mut self) -> Result<Span, Stop> {
        if self.peek()? != b'"' {
            return Err(Stop::Syntax);
        }
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    let width = match self.bytes.get(self.at + 1).ok_or(Stop::End)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                        b'u' => 6,
                        _ => return Err(Stop::Syntax),
                    };
                    let digits = self.bytes.get(self.at + 2..self.at + width).ok_or(Stop::End)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return Err(Stop::Syntax);
                    }
                    self.at += width;
                }
                // Some writers leave controls unescaped; they are harmless here and shown as what they are.
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Ok(Span::new(start, self.at - 1))
    }

    fn skip_space(&mut self) {
        while self.bytes.get(self.at).is_some_and(|byte| is_space(*byte)) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::End)
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The inside of a JSON string as text. Half a surrogate pair becomes U+FFFD.
pub(super) fn unescape(raw: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(raw);
    if !text.contains('\\') {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(start) = rest.find('\\') {
        out.push_str(&rest[..start]);
        let escape = &rest[start + 1..];
        let (c, used) = match escape.bytes().next() {
            Some(b'u') => unicode(escape),
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(plain @ (b'"' | b'\\' | b'/')) => (char::from(plain), 1),
            // Only where the text was cut inside an escape.
            _ => ('\u{FFFD}', escape.chars().next().map_or(0, char::len_utf8)),
        };
        out.push(c);
        rest = &escape[used..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character of `uXXXX` or of a surrogate pair `uXXXX\uXXXX`, and the bytes that took.
fn unicode(escape: &str) -> (char, usize) {
    let unit = |text: &str| text.get(1..5).and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let Some(first) = unit(escape) else { return ('\u{FFFD}', escape.len()) };
    let second = escape[5..].strip_prefix('\\').filter(|next| next.starts_with('u')).and_then(unit);
    let pair = second.map_or(vec![first], |second| vec![first, second]);
    match char::decode_utf16(pair).next() {
        Some(Ok(c)) => (c, if c.len_utf16() == 2 { 11 } else { 5 }),
        _ => ('\u{FFFD}', 5),
    }
}
