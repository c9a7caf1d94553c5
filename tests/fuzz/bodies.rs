//! What must hold for any bytes: shared by the targets here and by the test that reads the kept corpus.

use qtop::domain::address::glob;
use qtop::domain::described::{Allowed, Slots, TimeUnit};
use qtop::domain::job::Blob;
use qtop::domain::payload::{Folds, Limits, Payload, pickle as cutting};
use qtop::domain::text::{first_line, harmless_bytes, is_harmless};

/// Small, so that a limit is met within a fraction of a second.
const LIMITS: Limits = Limits { depth: 64, nodes: 20_000, bytes: 1 << 20, ratio: 200 };

/// Any payload, whole and cut.
pub fn payload(data: &[u8]) {
    for more in [0, 1] {
        let blob = Blob { bytes: data.to_vec().into(), total: data.len() as u64 + more };
        let read = Payload::read(&blob, &LIMITS);
        let Some(tree) = &read.tree else { continue };
        assert!(tree.len() <= LIMITS.nodes);
        for line in tree.lines(&Folds::open_to(usize::MAX)) {
            assert!(is_harmless(&line.text), "{:?}", line.text);
        }
        let json = tree.to_json();
        assert!(serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok(), "{json}");
    }
}

/// Instructions of a pickle, and what is cut out of it.
pub fn pickle(data: &[u8]) {
    let framed = if data.first() == Some(&0x80) { data.to_vec() } else { [&b"\x80\x04"[..], data].concat() };
    payload(&framed);
    payload(data);
    for cut in [cutting::head_of_map(&framed, "s"), cutting::with_none(&framed, "t")].into_iter().flatten() {
        payload(&cut);
    }
}

/// MessagePack, of which only maps and arrays are taken for it.
pub fn msgpack(data: &[u8]) {
    payload(data);
    payload(&[&b"\xdc\x00\x08"[..], data].concat());
}

/// PHP's serialized values.
pub fn php(data: &[u8]) {
    payload(data);
    payload(&[&b"a:2:{i:0;"[..], data, b"}"].concat());
}

/// JSON, Python literals, moments, and what a configuration says: keys with slots, globs.
pub fn text(data: &[u8]) {
    payload(data);
    payload(&[&b"{'a': "[..], data, b"}"].concat());
    payload(&[&b"{\"a\":"[..], data, b"}"].concat());
    assert!(is_harmless(&harmless_bytes(data)));
    let text = String::from_utf8_lossy(data);
    assert!(is_harmless(&first_line(&text, 500)));
    for unit in [TimeUnit::Auto, TimeUnit::S, TimeUnit::Ms, TimeUnit::Iso] {
        let _ = unit.read(&text);
    }
    for allowed in [Allowed::Row, Allowed::Job] {
        let _ = Slots::parse(&text, allowed);
    }
    // A glob is quadratic at worst, and those of a configuration are short.
    let (pattern, rest) = text.split_at(text.floor_char_boundary(text.len().min(100) / 2));
    assert!(glob("*", rest));
    let _ = glob(pattern, rest);
}
