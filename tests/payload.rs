//! Payloads made to eat memory, in a process of their own so that its memory can be measured. One test: a second one
//! beside it would be measured too.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail a test as directly as tests do")]

use std::io::Write;

use qtop::domain::job::Blob;
use qtop::domain::payload::{Folds, Format, Limits, Payload};

const MEGABYTE: u64 = 1024 * 1024;

#[path = "fuzz/bodies.rs"]
mod bodies;

type Body = fn(&[u8]);

/// Everything that is kept for the endless tries, once each.
fn corpus() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    const BODIES: [(&str, Body); 4] =
        [("pickle", bodies::pickle), ("msgpack", bodies::msgpack), ("php", bodies::php), ("text", bodies::text)];
    for (name, body) in BODIES {
        let files = std::fs::read_dir(folder.join(name)).unwrap();
        let mut tried = 0;
        for file in files {
            body(&std::fs::read(file.unwrap().path()).unwrap());
            tried += 1;
        }
        assert!(tried >= 4, "{name}: the corpus was found");
    }
    assert!(!std::path::Path::new("/tmp/qtop-was-here").exists(), "what a pickle asks for is never done");
}

/// The most memory this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Reads a payload and draws all its first lines; what that added to the peak.
fn cost(bytes: Vec<u8>) -> (Payload, u64) {
    let before = peak();
    let payload = Payload::read(&Blob::whole(bytes), &Limits::default());
    if let Some(tree) = &payload.tree {
        assert!(tree.lines(&Folds::default()).take(100).count() > 0);
    }
    (payload, peak().saturating_sub(before))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

#[test]
fn s6_s14_hostile_payloads_stay_within_memory() {
    corpus();
    // Ten gigabytes in ten megabytes: a thousand members of ten megabytes each.
    let bomb = gzip(&vec![0; 10_000_000]).repeat(1_000);
    assert!(bomb.len() < 16_000_000, "{}", bomb.len());
    let (payload, grown) = cost(bomb);
    assert_eq!(payload.bytes.len() as u64, 16 * MEGABYTE);
    assert!(payload.cut && payload.notes[0].contains("stopped"), "{:?}", payload.notes);
    assert!(grown < 32 * MEGABYTE, "the bomb took {} MB", grown / MEGABYTE);
    drop(payload);

    let many = [b"[".to_vec(), b"0,".repeat(8_000_000)].concat();
    let (payload, grown) = cost(many);
    assert_eq!(payload.tree.as_ref().unwrap().len(), 1_000_000);
    assert!(grown < 100 * MEGABYTE, "eight million numbers took {} MB", grown / MEGABYTE);
    drop(payload);

    // Arrays of sixteen numbers each, as MessagePack: every byte is a value.
    let many = [vec![0xdd, 0, 0xff, 0xff, 0xff], [&[0x9f][..], &[7; 15]].concat().repeat(900_000)].concat();
    let (payload, grown) = cost(many);
    assert_eq!(payload.format, Format::Msgpack);
    assert!(grown < 100 * MEGABYTE, "fourteen million values took {} MB", grown / MEGABYTE);
    drop(payload);

    // Pickles: many small values; one list named ten million times; a memo without end; nothing but marks.
    let numbers = [b"\x80\x04](".to_vec(), b"K\x07".repeat(7_000_000), b"e.".to_vec()].concat();
    let (payload, grown) = cost(numbers);
    assert!(payload.cut && payload.format == Format::Pickle, "{:?}", payload.notes);
    assert!(grown < 100 * MEGABYTE, "seven million numbers took {} MB", grown / MEGABYTE);
    drop(payload);
    for (what, pickle) in [
        (
            "a shared list",
            [b"\x80\x04(]\x94(".to_vec(), b"N".repeat(400_000), b"eh\x00".to_vec(), b"h\x00".repeat(7_000_000)]
                .concat(),
        ),
        ("a memo", [b"\x80\x04]".to_vec(), b"\x94".repeat(15_000_000), b".".to_vec()].concat()),
        ("marks", [b"\x80\x04]".to_vec(), b"(".repeat(15_000_000), b".".to_vec()].concat()),
        ("texts", [b"\x80\x04](".to_vec(), b"\x8c\x00".repeat(7_000_000), b"e.".to_vec()].concat()),
    ] {
        let (payload, grown) = cost(pickle);
        assert!(grown < 150 * MEGABYTE, "{what} took {} MB", grown / MEGABYTE);
        drop(payload);
    }

    let (payload, grown) = cost(b"[".repeat(10_000_000));
    assert_eq!(payload.format, Format::Text);
    assert!(grown < 32 * MEGABYTE, "ten million brackets took {} MB", grown / MEGABYTE);
    drop(payload);

    let (payload, grown) = cost(vec![b'x'; 64 * MEGABYTE as usize]);
    assert!(payload.cut && payload.bytes.len() as u64 == 16 * MEGABYTE);
    assert!(grown < 32 * MEGABYTE, "64 MB of text took {} MB", grown / MEGABYTE);
}
