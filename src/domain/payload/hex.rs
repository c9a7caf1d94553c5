//! Bytes as hex, row by row, so that a screen makes only the rows it shows.

use std::fmt::Write;

/// Bytes in a row.
pub const HEX_ROW: usize = 16;

/// Rows that `length` bytes take.
pub fn hex_rows(length: usize) -> usize {
    length.div_ceil(HEX_ROW)
}

/// One row: offset, bytes, and what of them is printable ASCII: `00000010  7b 22 61 22 …  |{"a"…|`. `None` behind the
/// end. ASCII only.
pub fn hex_row(bytes: &[u8], row: usize) -> Option<String> {
    let start = row.checked_mul(HEX_ROW)?;
    let part = bytes.get(start..)?;
    let part = &part[..part.len().min(HEX_ROW)];
    if part.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(80);
    write!(out, "{start:08x} ").expect("writing to a String cannot fail");
    for place in 0..HEX_ROW {
        if place % 8 == 0 {
            out.push(' ');
        }
        match part.get(place) {
            Some(byte) => write!(out, "{byte:02x} ").expect("writing to a String cannot fail"),
            None => out.push_str("   "),
        }
    }
    out.push_str(" |");
    out.extend(part.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' }));
    out.push('|');
    Some(out)
}

/// The first bytes in hex without spaces, for values inside a tree; `…` if there are more than `most`.
pub(super) fn hex_start(bytes: &[u8], most: usize) -> String {
    let mut out = String::with_capacity(2 * most.min(bytes.len()) + 3);
    for byte in bytes.iter().take(most) {
        write!(out, "{byte:02x}").expect("writing to a String cannot fail");
    }
    if bytes.len() > most {
        out.push('…');
    }
    out
}
