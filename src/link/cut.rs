//! Values too large to be looked at, cut as they arrive (S6).
//!
//! No command tells how large an element of a list, a member of a set or a field of a stream's entry is, and none
//! brings only its start. A script could, but it would stop the server for several times as long as the plain command:
//! there the bytes are copied once, in a script three times. So a connection that is for looking drops what nobody will
//! look at while it comes in, before the decoder would hold it twice.
//!
//! In the place of such a string comes an array of two: its whole length, and its start. Nothing else has that form
//! where a string is expected, so that whoever does not know of it meets a foreign reply and never takes a part for the
//! whole.

use super::commands::MAX_VALUE_BYTES;

/// Bytes that are kept of a value larger than [`MAX_VALUE_BYTES`].
pub const KEPT_BYTES: u64 = 1 << 20;

/// Longest line that can say how long a string is: the sign, twenty digits, the end.
const LONGEST_HEADER: usize = 24;

/// Reads replies as they come in, in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    state: State,
    header: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Before the first byte of a line.
    #[default]
    Start,
    /// In a line that says how long the string behind it is.
    Header,
    /// In a line that is passed on as it is.
    Line,
    /// So many bytes are passed on, then `skip` dropped.
    Pass { left: u64, skip: u64 },
    /// So many bytes are dropped; the end of the string's line comes behind them.
    Skip(u64),
}

impl Cutter {
    /// Takes what came in and appends what is to be read of it.
    pub(super) fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while let Some(first) = input.first() {
            match self.state {
                State::Start if *first == b'$' => self.state = State::Header,
                State::Start => self.state = State::Line,
                State::Header => {
                    self.header.push(*first);
                    input = &input[1..];
                    if *first == b'\n' || self.header.len() > LONGEST_HEADER {
                        self.begin(out);
                    }
                }
                State::Line => {
                    let end = input.iter().position(|byte| *byte == b'\n');
                    let (line, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
                    out.extend_from_slice(line);
                    input = rest;
                    if end.is_some() {
                        self.state = State::Start;
                    }
                }
                State::Pass { left, skip } => {
                    let (part, rest) = input.split_at(within(left, input));
                    out.extend_from_slice(part);
                    input = rest;
                    self.state = match left - part.len() as u64 {
                        0 if skip > 0 => State::Skip(skip),
                        0 => State::Start,
                        left => State::Pass { left, skip },
                    };
                }
                State::Skip(left) => {
                    let dropped = within(left, input);
                    input = &input[dropped..];
                    self.state = match left - dropped as u64 {
                        0 => State::Pass { left: END, skip: 0 },
                        left => State::Skip(left),
                    };
                }
            }
        }
    }

    /// The line is complete that says how long a string is.
    fn begin(&mut self, out: &mut Vec<u8>) {
        let digits = self.header.strip_prefix(b"$").and_then(|rest| rest.strip_suffix(b"\r\n"));
        let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let length: Option<u64> = text.and_then(|text| text.parse().ok());
        self.state = match length {
            Some(length) if length > MAX_VALUE_BYTES => {
                out.extend_from_slice(format!("*2\r\n:{length}\r\n${KEPT_BYTES}\r\n").as_bytes());
                self.header.clear();
                State::Pass { left: KEPT_BYTES, skip: length - KEPT_BYTES }
            }
            Some(length) => State::Pass { left: length + END, skip: 0 },
            // Nil, or something no server says: a line like any other.
            None if self.header.ends_with(b"\n") => State::Start,
            None => State::Line,
        };
        out.append(&mut self.header);
    }
}

/// Bytes of the line's end behind a string.
const END: u64 = 2;

fn within(left: u64, input: &[u8]) -> usize {
    usize::try_from(left).map_or(input.len(), |left| left.min(input.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fed(input: &[u8], piece: usize) -> Vec<u8> {
        let (mut cutter, mut out) = (Cutter::default(), Vec::new());
        for part in input.chunks(piece) {
            cutter.feed(part, &mut out);
        }
        out
    }

    #[test]
    fn s6_only_what_is_too_large_is_cut_whatever_pieces_it_comes_in() {
        let most = usize::try_from(MAX_VALUE_BYTES).unwrap();
        let string =
            |fill: u8, length: usize| [format!("${length}\r\n").as_bytes(), &vec![fill; length], b"\r\n"].concat();
        let start = vec![b'y'; usize::try_from(KEPT_BYTES).unwrap()];
        let cut =
            |length: usize| [format!("*2\r\n:{length}\r\n${KEPT_BYTES}\r\n").as_bytes(), &start, b"\r\n"].concat();
        let around = |middle: &[u8]| [b"*4\r\n$2\r\n\r\n\r\n", middle, b"$-1\r\n:7\r\n+OK\r\n"].concat();
        let (whole, large) = (string(b'x', most), string(b'y', most + 1));
        for piece in [4_093, 65_536, usize::MAX] {
            assert!(fed(&around(&whole), piece) == around(&whole), "in pieces of {piece}");
            assert!(fed(&around(&large), piece) == around(&cut(most + 1)), "in pieces of {piece}");
        }
    }

    proptest! {
        #[test]
        fn replies_without_large_values_pass_unchanged(
            parts in proptest::collection::vec((0..6_u8, proptest::collection::vec(any::<u8>(), 0..40)), 0..20),
            piece in 1..17_usize,
        ) {
            let mut replies = Vec::new();
            for (kind, bytes) in &parts {
                let line: Vec<u8> = bytes.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
                match kind {
                    0 => replies.extend([b"+", line.as_slice(), b"\r\n"].concat()),
                    1 => replies.extend([b"-ERR $5 ", line.as_slice(), b"\r\n"].concat()),
                    2 => replies.extend(b"*3\r\n:99999999999\r\n"),
                    3 => replies.extend(b"$-1\r\n_\r\n"),
                    4 => replies.extend(b"%1\r\n,1.5\r\n#t\r\n"),
                    _ => replies.extend([format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()),
                }
            }
            prop_assert_eq!(fed(&replies, piece), replies);
        }

        #[test]
        fn no_bytes_make_it_panic(input in proptest::collection::vec(any::<u8>(), 0..200), piece in 1..9_usize) {
            fed(&input, piece);
        }
    }
}
