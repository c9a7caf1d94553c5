//! Reading MessagePack without recursion. Only maps and arrays at the outermost level are taken for it, since every byte
//! below 0x80 alone is a valid document too.

use bytes::Bytes;
use rmp::Marker;

use super::hex::hex_start;
use super::tree::{Builder, Kind, Span, Stop, Tree, Writing};
use super::{Limits, is_text};
use crate::domain::time::Timestamp;

/// Bytes of a binary value that the tree shows.
const SHOWN_BYTES: usize = 256;

/// Type number of the timestamp extension.
const TIMESTAMP: i8 = -1;

/// True if the first byte begins a map or an array, and the whole is not text that happens to begin so.
pub(super) fn may_be(bytes: &[u8]) -> bool {
    let container = matches!(
        bytes.first().map(|first| Marker::from_u8(*first)),
        Some(
            Marker::FixMap(_) | Marker::FixArray(_) | Marker::Array16 | Marker::Array32 | Marker::Map16 | Marker::Map32
        )
    );
    container && !is_text(bytes, true)
}

/// Reads one document that takes all the bytes. Of a cut one everything that was begun is kept.
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
    /// What the tree shows: strings as they are, numbers and bytes written out.
    text: Vec<u8>,
    builder: Builder,
    /// Values still to come in each open container; maps count their pairs.
    open: Vec<u32>,
}

/// A value's head.
enum Head {
    Container(Kind, u32),
    Scalar(Kind, Span),
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
            let name = match self.builder.inside() {
                Some(Kind::Map) => Some(self.name()?),
                _ => None,
            };
            match self.head()? {
                Head::Container(kind, count) => {
                    self.builder.begin(kind, name)?;
                    self.open.push(count);
                }
                Head::Scalar(kind, text) => {
                    self.builder.scalar(kind, name, text);
                    self.one_less();
                }
            }
            while self.open.last() == Some(&0) {
                self.open.pop();
                self.one_less();
                self.builder.end();
            }
            if self.builder.inside().is_none() {
                return if self.at == self.bytes.len() { Ok(false) } else { Err(Stop::Syntax) };
            }
        }
    }

    fn one_less(&mut self) {
        if let Some(left) = self.open.last_mut() {
            *left -= 1;
        }
    }

    /// A map's key; containers as keys are legal but unheard of, and refused.
    fn name(&mut self) -> Result<Span, Stop> {
        match self.head()? {
            Head::Scalar(_, text) => Ok(text),
            Head::Container(..) => Err(Stop::Syntax),
        }
    }

    fn head(&mut self) -> Result<Head, Stop> {
        let marker = Marker::from_u8(self.take(1)?[0]);
        Ok(match marker {
            Marker::Null => self.say(Kind::Null, "null"),
            Marker::True => self.say(Kind::Bool, "true"),
            Marker::False => self.say(Kind::Bool, "false"),
            Marker::FixPos(value) => self.say(Kind::Number, &value.to_string()),
            Marker::FixNeg(value) => self.say(Kind::Number, &value.to_string()),
            Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => {
                let width = 1 << (marker.to_u8() - Marker::U8.to_u8());
                let value = self.unsigned(width)?;
                self.say(Kind::Number, &value.to_string())
            }
            Marker::I8 | Marker::I16 | Marker::I32 | Marker::I64 => {
                let width = 1 << (marker.to_u8() - Marker::I8.to_u8());
                let raw = self.unsigned(width)?;
                let value = (raw << (64 - 8 * width)) as i64 >> (64 - 8 * width);
                self.say(Kind::Number, &value.to_string())
            }
            Marker::F32 => {
                let value = f32::from_bits(self.unsigned(4)? as u32);
                self.say(Kind::Number, &format!("{value:?}"))
            }
            Marker::F64 => {
                let value = f64::from_bits(self.unsigned(8)?);
                self.say(Kind::Number, &format!("{value:?}"))
            }
            Marker::FixStr(length) => self.string(u64::from(length))?,
            Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let length = self.length(marker, Marker::Str8)?;
                self.string(length)?
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let length = self.length(marker, Marker::Bin8)?;
                let shown = hex_start(self.take(length)?, SHOWN_BYTES);
                self.say(Kind::Bytes, &format!("{length} bytes {shown}"))
            }
            Marker::FixExt1 | Marker::FixExt2 | Marker::FixExt4 | Marker::FixExt8 | Marker::FixExt16 => {
                let length = 1 << (marker.to_u8() - Marker::FixExt1.to_u8());
                self.extension(length)?
            }
            Marker::Ext8 | Marker::Ext16 | Marker::Ext32 => {
                let length = self.length(marker, Marker::Ext8)?;
                self.extension(length)?
            }
            Marker::FixArray(count) => Head::Container(Kind::Seq, u32::from(count)),
            Marker::FixMap(count) => Head::Container(Kind::Map, u32::from(count)),
            Marker::Array16 => Head::Container(Kind::Seq, self.unsigned(2)? as u32),
            Marker::Array32 => Head::Container(Kind::Seq, self.unsigned(4)? as u32),
            Marker::Map16 => Head::Container(Kind::Map, self.unsigned(2)? as u32),
            Marker::Map32 => Head::Container(Kind::Map, self.unsigned(4)? as u32),
            Marker::Reserved => return Err(Stop::Syntax),
        })
    }

    /// The length behind one of three neighbouring markers for 8, 16 and 32 bits.
    fn length(&mut self, marker: Marker, first: Marker) -> Result<u64, Stop> {
        self.unsigned(1 << (marker.to_u8() - first.to_u8()))
    }

    fn unsigned(&mut self, width: u64) -> Result<u64, Stop> {
        Ok(self.take(width)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Stop> {
        let length = usize::try_from(length).map_err(|_| Stop::End)?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or(Stop::End)?;
        let start = std::mem::replace(&mut self.at, end);
        Ok(&self.bytes[start..end])
    }

    fn say(&mut self, kind: Kind, text: &str) -> Head {
        let start = self.text.len();
        self.text.extend_from_slice(text.as_bytes());
        Head::Scalar(kind, Span::new(start, self.text.len()))
    }

    fn string(&mut self, length: u64) -> Result<Head, Stop> {
        let bytes = self.take(length)?;
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        Ok(Head::Scalar(Kind::String, Span::new(start, self.text.len())))
    }

    fn extension(&mut self, length: u64) -> Result<Head, Stop> {
        let number = self.take(1)?[0] as i8;
        let body = self.take(length)?;
        let text = match (number, moment(body)) {
            (TIMESTAMP, Some(moment)) => moment,
            _ => format!("type {number}, {length} bytes {}", hex_start(body, SHOWN_BYTES)),
        };
        Ok(self.say(Kind::Extension, &text))
    }
}

/// The three layouts of the timestamp extension: seconds; 30 bits of nanoseconds and 34 of seconds; both apart.
fn moment(body: &[u8]) -> Option<String> {
    let (seconds, nanos) = match body.len() {
        4 => (i64::from(u32::from_be_bytes(body.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(body.try_into().ok()?);
            (i64::try_from(both & 0x3_ffff_ffff).ok()?, both >> 34)
        }
        12 => {
            let nanos = u32::from_be_bytes(body[..4].try_into().ok()?);
            (i64::from_be_bytes(body[4..].try_into().ok()?), u64::from(nanos))
        }
        _ => return None,
    };
    let millis = seconds.checked_mul(1_000)?.checked_add(i64::try_from(nanos / 1_000_000).ok()?)?;
    Timestamp(millis).rfc3339()
}
