//! Bytes of a payload, result or item, made readable: unpacked, parsed into an inert tree, or shown as text or hex.
//!
//! Nothing is ever executed, and every limit holds whatever the bytes are (S6, S14). All nodes of a tree lie in one
//! block and refer to one text, so that neither building nor dropping one recurses and memory stays a small multiple of
//! the input. A format is one entry of [`FORMATS`]: whether the bytes could be one, and how to read them.

mod hex;
mod json;
mod msgpack;
pub mod packed;
mod php;
pub mod pickle;
mod python;
mod to_json;
mod tree;
mod unpack;
mod view;

use bytes::Bytes;

pub use hex::{HEX_ROW, hex_row, hex_rows};
pub use tree::{Child, Key, Kind, NodeRef, Tree};
pub use view::{Folds, Line};

use super::job::Blob;
use to_json::quote;
use tree::Stop;
use unpack::Unpacked;

/// How much of a payload is worth reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Containers inside one another.
    pub depth: usize,
    /// Values in all.
    pub nodes: usize,
    /// Bytes looked at, and bytes made by unpacking.
    pub bytes: usize,
    /// Most bytes unpacked for each packed byte.
    pub ratio: usize,
}

impl Default for Limits {
    /// The limits of S6 and S14.
    fn default() -> Self {
        Self { depth: 64, nodes: 1_000_000, bytes: 16 * 1024 * 1024, ratio: 200 }
    }
}

/// How a packed payload was packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Packing {
    /// RFC 1952.
    Gzip,
    /// RFC 1950.
    Zlib,
    /// RFC 8878; recognised, not unpacked.
    Zstd,
}

/// What the bytes turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Format {
    /// No byte at all.
    Empty,
    /// A JSON document; Python's `NaN` and `Infinity` are accepted.
    Json,
    /// A MessagePack map or array.
    Msgpack,
    /// A value in PHP's `serialize` format.
    Php,
    /// Python's own format; read, never executed.
    Pickle,
    /// A Python literal, as `repr` writes it.
    Python,
    /// UTF-8 text.
    Text,
    /// Anything else.
    Binary,
}

/// A payload made readable.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    /// How it was packed, outermost first.
    pub packing: Vec<Packing>,
    /// What was inside.
    pub format: Format,
    /// The values, for formats that have any.
    pub tree: Option<Tree>,
    /// The bytes after unpacking, for the raw and the hex view.
    pub bytes: Bytes,
    /// True if this is only the beginning.
    pub cut: bool,
    /// Why it is shown as it is, if that needs a word.
    pub notes: Vec<String>,
}

/// One format: may these bytes be one, and what are they if so.
struct FormatReader {
    format: Format,
    /// A quick look at the start; false if it is certainly something else.
    may_be: fn(&[u8]) -> bool,
    read: fn(&Bytes, bool, &Limits) -> Result<Tree, Stop>,
}

/// Tried in order; the first that reads the bytes wins.
const FORMATS: &[FormatReader] = &[
    FormatReader { format: Format::Json, may_be: json::may_be, read: json::read },
    FormatReader { format: Format::Msgpack, may_be: msgpack::may_be, read: msgpack::read },
    FormatReader { format: Format::Php, may_be: php::may_be, read: php::read },
    FormatReader { format: Format::Pickle, may_be: pickle::may_be, read: pickle::read },
    FormatReader { format: Format::Python, may_be: python::may_be, read: python::read },
];

/// Packings inside one another that are undone.
const PACKING_LAYERS: usize = 2;

impl Payload {
    /// Reads a payload within the limits. Never fails: what cannot be read otherwise is text or binary.
    pub fn read(blob: &Blob, limits: &Limits) -> Self {
        let kept = blob.bytes.len().min(limits.bytes);
        let mut payload = Self {
            packing: Vec::new(),
            format: Format::Empty,
            tree: None,
            bytes: blob.bytes.slice(..kept),
            cut: blob.is_cut() || kept < blob.bytes.len(),
            notes: Vec::new(),
        };
        payload.unpack(limits);
        payload.parse(limits);
        payload
    }

    /// The values of bytes that are said to be of one format; `None` if they are not.
    pub fn read_as(format: Format, bytes: &Bytes, limits: &Limits) -> Option<Tree> {
        let reader = FORMATS.iter().find(|reader| reader.format == format)?;
        let kept = bytes.len().min(limits.bytes);
        (reader.read)(&bytes.slice(..kept), kept < bytes.len(), limits).ok()
    }

    /// Names of packings and format, for example `gzip + json`.
    pub fn encoding(&self) -> String {
        let mut names: Vec<&'static str> = self.packing.iter().map(|packing| packing.into()).collect();
        names.push(self.format.into());
        names.join(" + ")
    }

    /// The unpacked bytes as text if they are text, with U+FFFD in the place of an incomplete last character.
    pub fn text(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self.format {
            Format::Json | Format::Text | Format::Python => Some(String::from_utf8_lossy(&self.bytes)),
            Format::Empty => Some("".into()),
            Format::Php if self.bytes.contains(&0) => None,
            Format::Php => Some(String::from_utf8_lossy(&self.bytes)),
            Format::Msgpack | Format::Pickle | Format::Binary => None,
        }
    }

    fn unpack(&mut self, limits: &Limits) {
        for _ in 0..PACKING_LAYERS {
            let Some(packing) = unpack::recognise(&self.bytes) else { return };
            match unpack::unpack(packing, &self.bytes, limits) {
                Unpacked::Bytes { bytes, note } => {
                    self.packing.push(packing);
                    self.bytes = bytes;
                    if let Some(note) = note {
                        self.cut = true;
                        self.notes.push(note);
                    }
                }
                Unpacked::Unknown => {
                    self.packing.push(packing);
                    self.notes.push(format!("{} is not unpacked; this is the packed form", <&str>::from(packing)));
                    return;
                }
                Unpacked::NotPacked => return,
            }
        }
    }

    fn parse(&mut self, limits: &Limits) {
        if self.bytes.is_empty() {
            return;
        }
        for reader in FORMATS {
            if !(reader.may_be)(&self.bytes) {
                continue;
            }
            match (reader.read)(&self.bytes, self.cut, limits) {
                Ok(tree) => {
                    if tree.is_limited() {
                        self.cut = true;
                        self.notes.push(format!("only the first {} values are shown", limits.nodes));
                    }
                    self.format = reader.format;
                    self.tree = Some(tree);
                    return;
                }
                Err(Stop::Depth) => {
                    let name: &str = reader.format.into();
                    self.notes.push(format!("{name} nested deeper than {}; shown as it is", limits.depth));
                }
                Err(Stop::Syntax | Stop::End) => {}
            }
        }
        self.format = if is_text(&self.bytes, self.cut) { Format::Text } else { Format::Binary };
    }
}

/// UTF-8 with few controls. Of a cut text the last character may be incomplete.
fn is_text(bytes: &[u8], cut: bool) -> bool {
    if !is_utf8(bytes, cut) {
        return false;
    }
    let odd = bytes.iter().filter(|byte| (**byte < 0x20 && !b"\t\n\r\x1b".contains(byte)) || **byte == 0x7f).count();
    !bytes.contains(&0) && odd * 10 <= bytes.len()
}

fn is_utf8(bytes: &[u8], cut: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => cut && error.error_len().is_none(),
    }
}

#[cfg(test)]
mod php_tests;
#[cfg(test)]
mod tests;
