//! Making a shorter pickle out of the bytes of a longer one, without understanding what is in it.

use super::super::tree::Stop;
use super::ops::{Arg, Op, Ops};

/// The first entries of a pickled dict, up to the key `until`, as a pickle of their own: everything before that key,
/// closed. Memo references only point backwards, so nothing is missed. `None`: not such a dict.
///
/// Frames go: they are optional, and their lengths would be wrong.
pub fn head_of_map(bytes: &[u8], until: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut walk = Walk::new(bytes);
    loop {
        let (op, place) = walk.next().ok()?;
        match op.code {
            b'.' => return None,
            0x95 => continue,
            _ => {}
        }
        if place == Place::Key && is_text(&op, until) {
            out.extend_from_slice(b"u.");
            return Some(out);
        }
        out.extend_from_slice(&bytes[op.start..op.end]);
    }
}

/// The same pickled dict with the value of `key` forgotten, as [`with_value`] does it.
pub fn with_none(bytes: &[u8], key: &str) -> Option<Vec<u8>> {
    with_value(bytes, key, None)
}

/// The same pickled dict with the value of `key` replaced by a number or None, where that value is a plain number or
/// None. `None`: not such a dict, no such key, or another value.
pub fn with_value(bytes: &[u8], key: &str, value: Option<u32>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut walk = Walk::new(bytes);
    let (mut wanted, mut done) = (false, false);
    loop {
        let (op, place) = walk.next().ok()?;
        if op.code == 0x95 {
            continue;
        }
        if wanted && place == Place::Value {
            if !matches!(op.code, b'N' | b'K' | b'M' | b'J' | 0x8a | b'I' | b'L') {
                return None;
            }
            match value {
                Some(value) => {
                    // Five bytes hold it with its sign.
                    out.extend_from_slice(&[0x8a, 5]);
                    out.extend_from_slice(&i64::from(value).to_le_bytes()[..5]);
                }
                None => out.push(b'N'),
            }
            (wanted, done) = (false, true);
            continue;
        }
        wanted |= !done && place == Place::Key && is_text(&op, key);
        out.extend_from_slice(&bytes[op.start..op.end]);
        if op.code == b'.' {
            return done.then_some(out);
        }
    }
}

fn is_text(op: &Op<'_>, wanted: &str) -> bool {
    match (&op.arg, op.code) {
        (Arg::Bytes(text), b'X' | b'U' | b'T' | 0x8c | 0x8d) => *text == wanted.as_bytes(),
        (Arg::Line(line), b'V') => *line == wanted.as_bytes(),
        (Arg::Line(line), b'S') => line.get(1..line.len().saturating_sub(1)) == Some(wanted.as_bytes()),
        _ => false,
    }
}

/// What an instruction pushes, seen from the outermost dict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A key of it.
    Key,
    /// The beginning of a value of it.
    Value,
    /// Anything else.
    Inside,
}

/// Follows the height of the stack. The outermost value must be a dict filled through one mark (`{ ( key value … u`).
struct Walk<'a> {
    ops: Ops<'a>,
    height: usize,
    marks: Vec<usize>,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { ops: Ops::new(bytes), height: 0, marks: Vec::new() }
    }

    fn next(&mut self) -> Result<(Op<'a>, Place), Stop> {
        let op = self.ops.next()?;
        let place = match (self.marks.as_slice(), self.height) {
            // The dict is the one value below the mark; keys and values follow in turn.
            ([1], height) if pushes(op.code) && height % 2 == 1 => Place::Key,
            ([1], height) if pushes(op.code) && height % 2 == 0 => Place::Value,
            _ => Place::Inside,
        };
        self.step(op.code)?;
        Ok((op, place))
    }

    fn step(&mut self, code: u8) -> Result<(), Stop> {
        let mark = |marks: &mut Vec<usize>| marks.pop().ok_or(Stop::Syntax);
        self.height = match code {
            b'(' => {
                self.marks.push(self.height);
                self.height
            }
            b'1' | b'e' | b'u' | 0x90 => mark(&mut self.marks)?,
            b'l' | b't' | b'd' | b'i' | b'o' | 0x91 => mark(&mut self.marks)? + 1,
            b'0' if self.marks.last() == Some(&self.height) => mark(&mut self.marks)?,
            b'0' | b'a' | b'R' | b'b' | 0x81 | 0x93 | 0x86 => self.lower(1)?,
            b's' | 0x92 | 0x87 => self.lower(2)?,
            code if pushes(code) => self.height + 1,
            _ => self.height,
        };
        Ok(())
    }

    fn lower(&self, by: usize) -> Result<usize, Stop> {
        self.height.checked_sub(by).ok_or(Stop::Syntax)
    }
}

/// Instructions that put one more value on the stack, and begin one if it is a container.
fn pushes(code: u8) -> bool {
    matches!(
        code,
        b'2' | b'F' | b'I' | b'J' | b'K' | b'L' | b'M' | b'N' | b'P' | b'S' | b'T' | b'U' | b'V' | b'X' | b'B' | b'C'
            | b'G' | b'c' | b'}' | b']' | b')' | b'g' | b'h' | b'j' | 0x82..=0x84 | 0x88..=0x8b | 0x8c..=0x8f | 0x96
            | 0x97
    )
}
