//! Undoing compression, with a limit on what comes out (S14): a kilobyte can hold gigabytes.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};

use super::{Limits, Packing, is_text};

/// What became of packed bytes.
pub(super) enum Unpacked {
    /// The inside, perhaps only its beginning; `note` then says why.
    Bytes { bytes: Bytes, note: Option<String> },
    /// It is packed, but qtop cannot unpack this kind.
    Unknown,
    /// It only looked so.
    NotPacked,
}

/// What the first bytes say.
pub(super) fn recognise(bytes: &[u8]) -> Option<Packing> {
    match bytes {
        [0x1f, 0x8b, 8, ..] => Some(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstd),
        // Method deflate, window at most 32 KiB, no dictionary, and a checksum over both bytes. That much a text may
        // have by chance: "HK…" does.
        [method, flags, _, _, ..]
            if method & 0x0f == 8
                && method >> 4 <= 7
                && flags & 0x20 == 0
                && (u16::from(*method) * 256 + u16::from(*flags)).is_multiple_of(31)
                && !is_text(bytes, true) =>
        {
            Some(Packing::Zlib)
        }
        _ => None,
    }
}

/// Unpacks at most what the limits allow.
pub(super) fn unpack(packing: Packing, bytes: &[u8], limits: &Limits) -> Unpacked {
    match packing {
        Packing::Gzip => drain(MultiGzDecoder::new(bytes), bytes.len(), limits),
        Packing::Zlib => drain(ZlibDecoder::new(bytes), bytes.len(), limits),
        Packing::Zstd => Unpacked::Unknown,
    }
}

fn drain(reader: impl Read, packed: usize, limits: &Limits) -> Unpacked {
    let most = limits.bytes.min(packed.saturating_mul(limits.ratio));
    let mut out = Vec::new();
    // One byte more than allowed tells whether there was more.
    let ended = reader.take(most as u64 + 1).read_to_end(&mut out);
    if out.len() > most {
        out.truncate(most);
        out.shrink_to_fit();
        let note = format!("unpacking stopped after {most} bytes ({packed} packed)");
        return Unpacked::Bytes { bytes: out.into(), note: Some(note) };
    }
    match ended {
        Ok(_) => Unpacked::Bytes { bytes: out.into(), note: None },
        Err(_) if out.is_empty() => Unpacked::NotPacked,
        Err(error) => Unpacked::Bytes { bytes: out.into(), note: Some(format!("unpacked in part: {error}")) },
    }
}
