//! A MessagePack value as JSON for a program that is to work with it: nothing is left out or shortened, and what cannot
//! be told whole is refused. What is shown to people is read by its neighbour.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rmp::Marker;

use super::{Limits, quote};

/// One value that takes all the bytes. JSON has no form for bytes and extensions: they become `{"(bytes)": "base64"}` and
/// `{"(extension)": type, "(bytes)": "base64"}`.
///
/// # Errors
/// Why it cannot be told whole.
pub fn value(bytes: &[u8], limits: &Limits) -> Result<String, String> {
    let mut reader = Reader { bytes, at: 0, out: String::with_capacity(bytes.len()), nodes: limits.nodes };
    reader.value(limits.depth)?;
    if reader.at == bytes.len() { Ok(reader.out) } else { Err("something lies behind the value".to_owned()) }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    out: String,
    nodes: usize,
}

impl<'a> Reader<'a> {
    /// Recursion is as deep as `depth`.
    fn value(&mut self, depth: usize) -> Result<(), String> {
        let Some(depth) = depth.checked_sub(1) else { return Err("it is nested too deeply".to_owned()) };
        self.nodes = self.nodes.checked_sub(1).ok_or("it has too many values")?;
        let marker = Marker::from_u8(self.take(1)?[0]);
        let step = |first: Marker| u32::from(marker.to_u8() - first.to_u8());
        match marker {
            Marker::Null => self.out.push_str("null"),
            Marker::True => self.out.push_str("true"),
            Marker::False => self.out.push_str("false"),
            Marker::FixPos(number) => self.say(number),
            Marker::FixNeg(number) => self.say(number),
            Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => {
                let number = self.number(1 << step(Marker::U8))?;
                self.say(number);
            }
            Marker::I8 | Marker::I16 | Marker::I32 | Marker::I64 => {
                let width = 1 << step(Marker::I8);
                let spare = 64 - 8 * width;
                let number = (self.number(width)? << spare) as i64 >> spare;
                self.say(number);
            }
            Marker::F32 => {
                let number = f32::from_bits(self.number(4)? as u32);
                self.float(f64::from(number));
            }
            Marker::F64 => {
                let number = f64::from_bits(self.number(8)?);
                self.float(number);
            }
            Marker::FixStr(length) => self.text(u64::from(length))?,
            Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let length = self.number(1 << step(Marker::Str8))?;
                self.text(length)?;
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let length = self.number(1 << step(Marker::Bin8))?;
                let body = self.take(length)?;
                self.out.push('{');
                self.body(body);
            }
            Marker::FixExt1 | Marker::FixExt2 | Marker::FixExt4 | Marker::FixExt8 | Marker::FixExt16 => {
                self.extension(1 << step(Marker::FixExt1))?;
            }
            Marker::Ext8 | Marker::Ext16 | Marker::Ext32 => {
                let length = self.number(1 << step(Marker::Ext8))?;
                self.extension(length)?;
            }
            Marker::FixArray(count) => self.list(u64::from(count), depth)?,
            Marker::Array16 | Marker::Array32 => {
                let count = self.number(2 << step(Marker::Array16))?;
                self.list(count, depth)?;
            }
            Marker::FixMap(count) => self.map(u64::from(count), depth)?,
            Marker::Map16 | Marker::Map32 => {
                let count = self.number(2 << step(Marker::Map16))?;
                self.map(count, depth)?;
            }
            Marker::Reserved => return Err("it is no MessagePack".to_owned()),
        }
        Ok(())
    }

    fn list(&mut self, count: u64, depth: usize) -> Result<(), String> {
        self.out.push('[');
        for place in 0..count {
            if place > 0 {
                self.out.push(',');
            }
            self.value(depth)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn map(&mut self, count: u64, depth: usize) -> Result<(), String> {
        self.out.push('{');
        for place in 0..count {
            if place > 0 {
                self.out.push(',');
            }
            let start = self.out.len();
            self.value(depth)?;
            // A name is text: numbers and the like become it, as Python's json does.
            if !self.out[start..].starts_with('"') {
                let name = self.out.split_off(start);
                if name.starts_with(['{', '[']) {
                    return Err("a map has a name that is no text".to_owned());
                }
                quote(&name, &mut self.out);
            }
            self.out.push(':');
            self.value(depth)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn text(&mut self, length: u64) -> Result<(), String> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| "a text of it is no UTF-8")?;
        quote(text, &mut self.out);
        Ok(())
    }

    fn extension(&mut self, length: u64) -> Result<(), String> {
        let kind = self.take(1)?[0] as i8;
        let body = self.take(length)?;
        self.out.push_str("{\"(extension)\":");
        self.say(kind);
        self.out.push(',');
        self.body(body);
        Ok(())
    }

    fn body(&mut self, body: &[u8]) {
        self.out.push_str("\"(bytes)\":\"");
        BASE64.encode_string(body, &mut self.out);
        self.out.push_str("\"}");
    }

    fn say(&mut self, number: impl std::fmt::Display) {
        self.out.push_str(&number.to_string());
    }

    fn float(&mut self, number: f64) {
        if number.is_finite() {
            self.say(format_args!("{number:?}"))
        } else {
            quote(&number.to_string(), &mut self.out)
        }
    }

    fn number(&mut self, width: u32) -> Result<u64, String> {
        Ok(self.take(u64::from(width))?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn take(&mut self, length: impl TryInto<usize>) -> Result<&'a [u8], String> {
        let end = length.try_into().ok().and_then(|length| self.at.checked_add(length));
        let end = end.filter(|end| *end <= self.bytes.len()).ok_or("its end is missing")?;
        let start = std::mem::replace(&mut self.at, end);
        Ok(&self.bytes[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> Result<String, String> {
        value(bytes, &Limits { nodes: 50, ..Limits::default() })
    }

    #[test]
    fn values_are_told_whole_in_a_form_that_programs_read() {
        let bytes =
            b"\x98\x01\xff\xd1\xff\x00\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xc0\
                      \xc4\x02\x00\xff\x82\xa1a\xc3\x07\xd4\x05x";
        let expected = r#"[1,-1,-256,18446744073709551615,1.5,null,{"(bytes)":"AP8="},{"a":true,"7":{"(extension)":5,"(bytes)":"eA=="}}]"#;
        assert_eq!(told(bytes).as_deref(), Ok(expected));
        assert_eq!(told(b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00").as_deref(), Ok("\"inf\""));
    }

    #[test]
    fn what_cannot_be_told_whole_is_refused() {
        assert!(told(b"\xc1").is_err());
        assert!(told(b"\x92\x01").is_err());
        assert!(told(b"\x01\x01").is_err(), "something lies behind");
        assert!(told(b"\xa1\xff").is_err());
        assert!(told(b"\x81\x90\x01").is_err());
        assert!(told(b"\xdd\xff\xff\xff\xff\x01").is_err());
        assert!(told(&[&[0x91; 100][..], b"\x01"].concat()).is_err(), "deep");
        assert!(told(&[&[0xdc, 0, 60][..], &[1; 60]].concat()).is_err(), "many");
    }
}
