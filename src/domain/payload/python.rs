//! Reading Python literals, as `repr` writes them: dicts, lists, tuples, sets, strings, bytes, numbers, True, False and
//! None. Inert: names, calls and operators are no literals and are refused, nothing is ever evaluated.

use bytes::Bytes;

use super::tree::{Builder, Kind, Span, Stop, Tree, Writing};
use super::{Limits, is_utf8};

/// True if the first character can begin a container; a lone string or number is better shown as text.
pub(super) fn may_be(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    first.is_some_and(|byte| b"{[(".contains(byte))
}

/// Reads one literal that takes all the bytes. Of a cut one everything that was begun is kept.
pub(super) fn read(bytes: &Bytes, cut: bool, limits: &Limits) -> Result<Tree, Stop> {
    if !is_utf8(bytes, cut) {
        return Err(Stop::Syntax);
    }
    let mut reader = Reader { bytes, at: 0, text: Vec::new(), builder: Builder::new(limits), open: Vec::new() };
    match reader.document() {
        Ok(limited) => Ok(reader.builder.finish(reader.text.into(), Writing::Plain, limited)),
        Err(Stop::End) if cut && reader.builder.inside().is_some() => {
            Ok(reader.builder.finish(reader.text.into(), Writing::Plain, false))
        }
        Err(stop) => Err(stop),
    }
}

/// An open container: the character that closes it, whether a comma must come before the next item, and whether one
/// was the last thing read.
struct Open {
    close: u8,
    comma: bool,
    trailing: bool,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What the tree shows: strings decoded, everything else as it is written.
    text: Vec<u8>,
    builder: Builder,
    open: Vec<Open>,
}

impl Reader<'_> {
    /// True if it was left because there are too many values.
    fn document(&mut self) -> Result<bool, Stop> {
        self.value(None)?;
        while let Some(Open { close, comma, trailing }) = self.open.last() {
            if self.builder.is_full() {
                return Ok(true);
            }
            let (close, comma, trailing) = (*close, *comma, *trailing);
            self.space();
            let next = self.peek()?;
            if next == close {
                // `repr` leaves a comma at the end in tuples of one item only.
                if trailing && close != b')' {
                    return Err(Stop::Syntax);
                }
                self.at += 1;
                self.open.pop();
                self.builder.end();
                self.after_value();
            } else if comma {
                if next != b',' {
                    return Err(Stop::Syntax);
                }
                self.at += 1;
                self.wants_comma(false);
            } else {
                self.item()?;
            }
        }
        self.space();
        if self.at == self.bytes.len() { Ok(false) } else { Err(Stop::Syntax) }
    }

    fn wants_comma(&mut self, comma: bool) {
        if let Some(open) = self.open.last_mut() {
            open.comma = comma;
            open.trailing = !comma;
        }
    }

    fn after_value(&mut self) {
        self.wants_comma(true);
    }

    fn item(&mut self) -> Result<(), Stop> {
        if self.builder.inside() != Some(Kind::Map) {
            return self.value(None);
        }
        let (_, name) = self.scalar()?;
        self.space();
        if self.peek()? != b':' {
            return Err(Stop::Syntax);
        }
        self.at += 1;
        self.value(Some(name))
    }

    fn value(&mut self, name: Option<Span>) -> Result<(), Stop> {
        self.space();
        let close = match self.peek()? {
            b'[' => b']',
            b'(' => b')',
            b'{' => return self.braces(name),
            _ => {
                let (kind, text) = self.scalar()?;
                self.builder.scalar(kind, name, text);
                self.after_value();
                return Ok(());
            }
        };
        self.at += 1;
        self.builder.begin(Kind::Seq, name)?;
        self.open.push(Open { close, comma: false, trailing: false });
        Ok(())
    }

    /// A dict, or a set: the first item tells.
    fn braces(&mut self, name: Option<Span>) -> Result<(), Stop> {
        self.at += 1;
        self.space();
        let (start, length) = (self.at, self.text.len());
        let is_map = match self.peek() {
            Ok(b'}') | Err(_) => true,
            Ok(b'(' | b'{' | b'[') => false,
            Ok(_) => match self.scalar() {
                Ok(_) => {
                    self.space();
                    // A text that was cut behind the first name was a dict: those are what is printed.
                    self.peek().is_ok_and(|byte| byte == b':') || self.at == self.bytes.len()
                }
                Err(Stop::End) => true,
                Err(stop) => return Err(stop),
            },
        };
        if !is_map && self.builder.inside().is_none() {
            // A set alone is rarer than broken JSON.
            return Err(Stop::Syntax);
        }
        self.at = start;
        self.text.truncate(length);
        self.builder.begin(if is_map { Kind::Map } else { Kind::Seq }, name)?;
        self.open.push(Open { close: b'}', comma: false, trailing: false });
        Ok(())
    }

    fn scalar(&mut self) -> Result<(Kind, Span), Stop> {
        self.space();
        let rest = &self.bytes[self.at..];
        let prefix = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        match rest.get(prefix) {
            Some(quote @ (b'\'' | b'"')) if prefix <= 2 => {
                let letters = rest[..prefix].to_ascii_lowercase();
                let quote = *quote;
                self.at += prefix;
                return match letters.as_slice() {
                    b"" | b"u" => self.string(quote, true, Kind::String),
                    b"r" => self.string(quote, false, Kind::String),
                    b"b" | b"br" | b"rb" => self.string(quote, false, Kind::Bytes),
                    _ => Err(Stop::Syntax),
                };
            }
            None if prefix == rest.len() && prefix < 6 => {
                return if [&b"True"[..], b"False", b"None"].contains(&rest) { self.word() } else { Err(Stop::End) };
            }
            _ => {}
        }
        if prefix > 0 { self.word() } else { self.number() }
    }

    fn word(&mut self) -> Result<(Kind, Span), Stop> {
        let rest = &self.bytes[self.at..];
        for (word, kind, shown) in
            [("True", Kind::Bool, "true"), ("False", Kind::Bool, "false"), ("None", Kind::Null, "null")]
        {
            let ends = rest.get(word.len()).is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
            if rest.starts_with(word.as_bytes()) && ends {
                self.at += word.len();
                return Ok((kind, self.say(shown.as_bytes())));
            }
        }
        let infinite = [&b"inf"[..], b"nan"].iter().any(|word| rest.starts_with(word));
        if infinite { self.number() } else { Err(Stop::Syntax) }
    }

    fn number(&mut self) -> Result<(Kind, Span), Stop> {
        let rest = &self.bytes[self.at..];
        let part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-._".contains(byte);
        let length = rest.iter().take_while(part).count();
        let text = String::from_utf8_lossy(&rest[..length]).replace('_', "");
        let whole = text.strip_prefix(['-', '+']).unwrap_or(&text);
        let digits = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
        if length == 0 || !(digits || text.parse::<f64>().is_ok()) {
            return Err(if length == rest.len() { Stop::End } else { Stop::Syntax });
        }
        self.at += length;
        Ok((Kind::Number, self.say(text.as_bytes())))
    }

    /// A string between quotes, also three of them.
    fn string(&mut self, quote: u8, escapes: bool, kind: Kind) -> Result<(Kind, Span), Stop> {
        let triple = self.bytes[self.at..].starts_with(&[quote; 3]);
        let close: &[u8] = if triple { &[quote; 3] } else { &[quote] };
        self.at += close.len();
        let start = self.text.len();
        loop {
            let rest = &self.bytes[self.at..];
            if rest.starts_with(close) {
                self.at += close.len();
                return Ok((kind, Span::new(start, self.text.len())));
            }
            match rest {
                [] => return Err(Stop::End),
                [b'\\', byte, ..] if !escapes => {
                    self.text.extend_from_slice(&[b'\\', *byte]);
                    self.at += 2;
                }
                [b'\\', ..] => self.escape()?,
                [b'\n', ..] if !triple => return Err(Stop::Syntax),
                [byte, ..] => {
                    self.text.push(*byte);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), Stop> {
        let rest = &self.bytes[self.at + 1..];
        let (digits, plain) = match rest.first().ok_or(Stop::End)? {
            b'x' => (2, None),
            b'u' => (4, None),
            b'U' => (8, None),
            b'n' => (0, Some(b'\n')),
            b't' => (0, Some(b'\t')),
            b'r' => (0, Some(b'\r')),
            b'0' => (0, Some(0)),
            byte @ (b'\\' | b'\'' | b'"') => (0, Some(*byte)),
            byte => {
                // An unknown escape stands for itself, as Python reads it.
                self.text.extend_from_slice(&[b'\\', *byte]);
                self.at += 2;
                return Ok(());
            }
        };
        if let Some(byte) = plain {
            self.text.push(byte);
        } else {
            let hex = rest.get(1..=digits).ok_or(Stop::End)?;
            let hex = std::str::from_utf8(hex).map_err(|_| Stop::Syntax)?;
            let code = u32::from_str_radix(hex, 16).map_err(|_| Stop::Syntax)?;
            let sign = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            self.text.extend_from_slice(sign.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.at += 2 + digits;
        Ok(())
    }

    fn say(&mut self, text: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        Span::new(start, self.text.len())
    }

    fn space(&mut self) {
        self.at += self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::End)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Payload};
    use super::*;
    use crate::domain::job::Blob;

    fn payload(text: &str) -> Payload {
        Payload::read(&Blob::whole(text.as_bytes().to_vec()), &Limits::default())
    }

    fn at(text: &str, path: &[&str]) -> Option<String> {
        payload(text).tree?.at(path).map(|node| node.text().into_owned())
    }

    #[test]
    fn literals_are_read_as_python_prints_them() {
        let text = r#"{'to': 'a"b', "it's": "x\'y\n", 'n': None, 'ok': True, 'big': 18446744073709551616,
            'f': -1.5e-3, 't': (1, 'two', [3]), 'e': {}, 's': {1, 2}, 'u': '\u00e9\x41', 'b': b'\xff', 7: 'seven'}"#;
        assert_eq!(payload(text).format, Format::Python);
        for (path, value) in [
            (&["to"][..], "a\"b"),
            (&["it's"], "x'y\n"),
            (&["n"], "null"),
            (&["ok"], "true"),
            (&["big"], "18446744073709551616"),
            (&["f"], "-1.5e-3"),
            (&["t", "1"], "two"),
            (&["t", "2", "0"], "3"),
            (&["s", "1"], "2"),
            (&["u"], "éA"),
            (&["b"], "\\xff"),
            (&["7"], "seven"),
        ] {
            assert_eq!(at(text, path).as_deref(), Some(value), "{path:?}");
        }
        assert_eq!(at("('a',)", &["0"]).as_deref(), Some("a"));
    }

    #[test]
    fn s6_whatever_is_no_literal_is_text_and_nothing_is_evaluated() {
        for text in [
            "{'a': __import__('os').system('id')}",
            "{'a': open('/etc/passwd')}",
            "{'a': 1 + 1}",
            "{'a': datetime.datetime(2026, 1, 1)}",
            "{'a': <object at 0x7f>}",
            "{'a' 'b'}",
            "{'a': 1 'b': 2}",
            "{'a': f'{x}'}",
            "{'a'",
            "(1, 2",
            "{1: 2, 3}",
            "[1]]",
            "[1, 2,]",
            "{'a': 1,}",
        ] {
            assert_eq!(payload(text).format, Format::Text, "{text}");
        }
        assert_eq!(payload(r#"{"a": true}"#).format, Format::Json);
    }

    #[test]
    fn s6_deep_and_cut_literals_stay_bounded() {
        let deep = format!("{}{}", "(".repeat(100_000), ")".repeat(100_000));
        let payload = payload(&deep);
        assert_eq!(payload.format, Format::Text);
        assert!(payload.notes[0].contains("nested deeper"), "{:?}", payload.notes);
        let text = "{'a': 1, 'b': ['x', 'yyyyyyyy', {'c': True}]}";
        for kept in 2..text.len() {
            let blob = Blob { bytes: Bytes::copy_from_slice(&text.as_bytes()[..kept]), total: 1000 };
            assert_eq!(Payload::read(&blob, &Limits::default()).format, Format::Python, "{}", &text[..kept]);
        }
    }

    proptest::proptest! {
        #[test]
        fn s14_no_bytes_break_the_reader(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), cut: bool) {
            drop(read(&Bytes::from(bytes), cut, &Limits::default()));
        }

        #[test]
        fn s14_no_text_of_signs_breaks_the_reader(text in "[\\[\\](){}'\"\\\\,: a-cTN0-9x.bru-]{0,80}", cut: bool) {
            drop(read(&Bytes::from(text.into_bytes()), cut, &Limits::default()));
        }
    }
}
