//! The opcodes of pickle protocols 0 to 5 with their arguments. Splitting only: nothing is built here.
//!
//! Facts from Python's own `pickletools` documentation of the format.

use super::super::tree::Stop;

/// One instruction and where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Op<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) code: u8,
    pub(super) arg: Arg<'a>,
}

/// What follows an opcode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Arg<'a> {
    None,
    /// A small number, or an index of the memo.
    Int(i64),
    /// A whole number as little-endian two's complement.
    Big(&'a [u8]),
    Float(f64),
    /// Counted text or bytes.
    Bytes(&'a [u8]),
    /// A line without its end.
    Line(&'a [u8]),
    /// Two lines: module and name.
    Lines(&'a [u8], &'a [u8]),
}

impl Arg<'_> {
    /// A number of the memo.
    pub(super) fn index(&self) -> Result<u32, Stop> {
        match self {
            Self::Int(number) => u32::try_from(*number).map_err(|_| Stop::Syntax),
            Self::Line(line) => {
                std::str::from_utf8(line).ok().and_then(|text| text.trim().parse().ok()).ok_or(Stop::Syntax)
            }
            _ => Err(Stop::Syntax),
        }
    }
}

/// Splits bytes into instructions.
pub(super) struct Ops<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Ops<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// True behind the last byte.
    pub(super) fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The next instruction; `Stop::End` if the bytes end inside it.
    pub(super) fn next(&mut self) -> Result<Op<'a>, Stop> {
        let start = self.at;
        let result = self.read();
        match result {
            Ok((code, arg)) => Ok(Op { start, end: self.at, code, arg }),
            Err(stop) => {
                self.at = start;
                Err(stop)
            }
        }
    }

    fn read(&mut self) -> Result<(u8, Arg<'a>), Stop> {
        let code = self.take(1)?[0];
        let arg = match code {
            b'('
            | b'.'
            | b'0'
            | b'1'
            | b'2'
            | b'N'
            | b'Q'
            | b'R'
            | b'a'
            | b'b'
            | b'd'
            | b'}'
            | b'e'
            | b']'
            | b'l'
            | b'o'
            | b's'
            | b't'
            | b')'
            | b'u'
            | 0x81
            | 0x85..=0x89
            | 0x8f..=0x94
            | 0x97
            | 0x98 => Arg::None,
            b'K' | b'h' | b'q' | 0x80 | 0x82 => Arg::Int(self.unsigned(1)? as i64),
            b'M' | 0x83 => Arg::Int(self.unsigned(2)? as i64),
            b'J' | 0x84 => Arg::Int(i64::from(self.unsigned(4)? as u32 as i32)),
            b'j' | b'r' => Arg::Int(self.unsigned(4)? as i64),
            0x95 => Arg::Int(i64::try_from(self.unsigned(8)?).map_err(|_| Stop::Syntax)?),
            b'G' => Arg::Float(f64::from_bits(self.unsigned(8)?.swap_bytes())),
            0x8a => Arg::Big(self.counted(1)?),
            0x8b => Arg::Big(self.counted(4)?),
            b'U' | b'C' | 0x8c => Arg::Bytes(self.counted(1)?),
            b'T' | b'X' | b'B' => Arg::Bytes(self.counted(4)?),
            0x8d | 0x8e | 0x96 => Arg::Bytes(self.counted(8)?),
            b'F' | b'I' | b'L' | b'P' | b'S' | b'V' | b'g' | b'p' => Arg::Line(self.line()?),
            b'c' | b'i' => Arg::Lines(self.line()?, self.line()?),
            _ => return Err(Stop::Syntax),
        };
        Ok((code, arg))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Stop> {
        let length = usize::try_from(length).map_err(|_| Stop::End)?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or(Stop::End)?;
        let start = std::mem::replace(&mut self.at, end);
        Ok(&self.bytes[start..end])
    }

    /// Little-endian.
    fn unsigned(&mut self, width: u64) -> Result<u64, Stop> {
        Ok(self.take(width)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn counted(&mut self, width: u64) -> Result<&'a [u8], Stop> {
        let length = self.unsigned(width)?;
        // Signed in the format: a negative length is no pickle.
        if width == 4 && length > i32::MAX as u64 {
            return Err(Stop::Syntax);
        }
        self.take(length)
    }

    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or(Stop::End)?;
        self.at += length + 1;
        Ok(&rest[..length])
    }
}
