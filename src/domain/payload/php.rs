//! Reading PHP's `serialize` format without recursion and without making anything of it: classes stay names.
//!
//! Format as PHP 5.x to 8.x write it (observed with 8.2): `N;` `b:1;` `i:5;` `d:0.5;` `s:BYTES:"…";` `a:COUNT:{key value …}`
//! `O:BYTES:"Class":COUNT:{name value …}` `C:BYTES:"Class":BYTES:{own format}` `E:BYTES:"Enum:Case";` `R:NUMBER;` `r:NUMBER;`.
//! Lengths count bytes. Private and protected properties have NUL bytes around the class in their names.

use bytes::Bytes;

use super::Limits;
use super::hex::hex_start;
use super::tree::{Builder, Kind, Span, Stop, Tree, Writing};

/// Bytes of a binary value that the tree shows.
const SHOWN_BYTES: usize = 256;

/// Name under which an object's class stands among its properties.
const CLASS: &str = "@class";

/// True if the first bytes begin a value that is worth a tree: an array, an object, or a text with its length.
pub(super) fn may_be(bytes: &[u8]) -> bool {
    matches!(bytes, [b'a' | b'O' | b'C' | b's', b':', b'0'..=b'9', ..])
}

/// Reads one value that takes all the bytes. Of a cut one everything that was begun is kept.
pub(super) fn read(bytes: &Bytes, cut: bool, limits: &Limits) -> Result<Tree, Stop> {
    let mut reader = Reader { bytes, at: 0, text: Vec::new(), builder: Builder::new(limits), open: Vec::new() };
    match reader.document() {
        Ok(limited) => Ok(reader.finish(limited)),
        Err(Stop::End) if cut && reader.builder.inside().is_some() => Ok(reader.finish(false)),
        Err(stop) => Err(stop),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What the tree shows.
    text: Vec<u8>,
    builder: Builder,
    /// Pairs still to come in each open container.
    open: Vec<u64>,
}

impl<'a> Reader<'a> {
    fn finish(self, limited: bool) -> Tree {
        self.builder.finish(self.text.into(), Writing::Plain, limited)
    }

    fn document(&mut self) -> Result<bool, Stop> {
        loop {
            if self.builder.is_full() {
                return Ok(true);
            }
            let name = if self.open.is_empty() { None } else { Some(self.name()?) };
            self.value(name)?;
            while self.open.last() == Some(&0) {
                self.expect(b"}")?;
                self.open.pop();
                self.builder.end();
                self.one_less();
            }
            if self.open.is_empty() {
                return if self.at == self.bytes.len() { Ok(false) } else { Err(Stop::Syntax) };
            }
        }
    }

    fn one_less(&mut self) {
        if let Some(left) = self.open.last_mut() {
            *left -= 1;
        }
    }

    /// A key of an array or a property's name.
    fn name(&mut self) -> Result<Span, Stop> {
        let tag = self.take(2)?;
        match tag {
            b"i:" => {
                let number = self.until(b';')?;
                self.number(number)
            }
            b"s:" => {
                let name = self.string()?;
                self.expect(b";")?;
                Ok(self.say(property(name)))
            }
            _ => Err(Stop::Syntax),
        }
    }

    fn value(&mut self, name: Option<Span>) -> Result<(), Stop> {
        let tag = self.take(2)?;
        let (kind, text) = match tag {
            b"N;" => (Kind::Null, self.say(b"null")),
            b"b:" => match self.until(b';')? {
                b"0" => (Kind::Bool, self.say(b"false")),
                b"1" => (Kind::Bool, self.say(b"true")),
                _ => return Err(Stop::Syntax),
            },
            b"i:" => {
                let number = self.until(b';')?;
                (Kind::Number, self.number(number)?)
            }
            b"d:" => {
                let number = self.until(b';')?;
                let known = matches!(number, b"INF" | b"-INF" | b"NAN");
                if !known && std::str::from_utf8(number).ok().and_then(|text| text.parse::<f64>().ok()).is_none() {
                    return Err(Stop::Syntax);
                }
                (Kind::Number, self.say(number))
            }
            b"s:" => {
                let string = self.string()?;
                self.expect(b";")?;
                self.text_or_bytes(string)
            }
            b"E:" => {
                let case = self.string()?;
                self.expect(b";")?;
                (Kind::Extension, self.say(case))
            }
            b"R:" | b"r:" => {
                let number = self.until(b';')?;
                let _ = self.number(number)?;
                (Kind::Extension, self.say(&[b"the same as value ", number].concat()))
            }
            b"a:" => {
                let count = self.length(b':')?;
                self.expect(b"{")?;
                return self.begin(name, count, None);
            }
            b"O:" => {
                let class = self.string()?;
                self.expect(b":")?;
                let count = self.length(b':')?;
                self.expect(b"{")?;
                return self.begin(name, count, Some(class));
            }
            b"C:" => {
                let class = self.string()?;
                self.expect(b":")?;
                let length = self.length(b':')?;
                self.expect(b"{")?;
                let own = self.bytes_of(length)?;
                self.expect(b"}")?;
                let text = format!(
                    "{} in a format of its own, {length} bytes {}",
                    String::from_utf8_lossy(class),
                    hex_start(own, SHOWN_BYTES)
                );
                (Kind::Extension, self.say(text.as_bytes()))
            }
            _ => return Err(Stop::Syntax),
        };
        self.builder.scalar(kind, name, text);
        self.one_less();
        Ok(())
    }

    /// Arrays and objects are maps; an object's class comes first under a name no property has.
    fn begin(&mut self, name: Option<Span>, count: u64, class: Option<&[u8]>) -> Result<(), Stop> {
        // Every pair takes at least four bytes, so a larger count is a lie that would never end.
        if count > self.bytes.len() as u64 / 4 {
            return Err(Stop::Syntax);
        }
        self.builder.begin(Kind::Map, name)?;
        if let Some(class) = class {
            let (label, class) = (self.say(CLASS.as_bytes()), self.say(class));
            self.builder.scalar(Kind::Extension, Some(label), class);
        }
        self.open.push(count);
        Ok(())
    }

    /// `BYTES:"…"`, the quotes not counted.
    fn string(&mut self) -> Result<&'a [u8], Stop> {
        let length = self.length(b':')?;
        self.expect(b"\"")?;
        let string = self.bytes_of(length)?;
        self.expect(b"\"")?;
        Ok(string)
    }

    fn text_or_bytes(&mut self, string: &[u8]) -> (Kind, Span) {
        if std::str::from_utf8(string).is_ok() {
            return (Kind::String, self.say(string));
        }
        let shown = format!("{} bytes {}", string.len(), hex_start(string, SHOWN_BYTES));
        (Kind::Bytes, self.say(shown.as_bytes()))
    }

    fn number(&mut self, digits: &[u8]) -> Result<Span, Stop> {
        let plain = digits.strip_prefix(b"-").unwrap_or(digits);
        if plain.is_empty() || plain.len() > 20 || !plain.iter().all(u8::is_ascii_digit) {
            return Err(Stop::Syntax);
        }
        Ok(self.say(digits))
    }

    fn length(&mut self, end: u8) -> Result<u64, Stop> {
        let digits = self.until(end)?;
        if digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Stop::Syntax);
        }
        std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(Stop::Syntax)
    }

    /// What comes before a sign, at most a few dozen bytes; the sign is skipped.
    fn until(&mut self, end: u8) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let near = &rest[..rest.len().min(64)];
        match near.iter().position(|byte| *byte == end) {
            Some(length) => {
                self.at += length + 1;
                Ok(&near[..length])
            }
            None if near.len() < 64 => Err(Stop::End),
            None => Err(Stop::Syntax),
        }
    }

    fn expect(&mut self, wanted: &[u8]) -> Result<(), Stop> {
        if self.take(wanted.len())? == wanted { Ok(()) } else { Err(Stop::Syntax) }
    }

    fn bytes_of(&mut self, length: u64) -> Result<&'a [u8], Stop> {
        self.take(usize::try_from(length).map_err(|_| Stop::End)?)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(length).ok_or(Stop::End)?;
        let taken = self.bytes.get(self.at..end).ok_or(Stop::End)?;
        self.at = end;
        Ok(taken)
    }

    fn say(&mut self, text: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        Span::new(start, self.text.len())
    }
}

/// A property's own name: `NUL * NUL name` is protected, `NUL Class NUL name` private.
fn property(name: &[u8]) -> &[u8] {
    match name.strip_prefix(b"\0") {
        Some(rest) => rest.iter().position(|byte| *byte == 0).map_or(name, |end| &rest[end + 1..]),
        None => name,
    }
}
