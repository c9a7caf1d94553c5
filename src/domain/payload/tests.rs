use std::io::Write;

use proptest::prelude::*;

use super::*;

fn read(bytes: impl Into<Bytes>) -> Payload {
    Payload::read(&Blob::whole(bytes), &Limits::default())
}

fn cut(bytes: &[u8], kept: usize) -> Payload {
    let blob = Blob { bytes: Bytes::copy_from_slice(&bytes[..kept]), total: bytes.len() as u64 };
    Payload::read(&blob, &Limits::default())
}

fn drawn(payload: &Payload, folds: &Folds) -> Vec<String> {
    let tree = payload.tree.as_ref().expect("a tree");
    tree.lines(folds)
        .map(|line| {
            let mark = match line.open {
                Some(true) => "v ",
                Some(false) => "> ",
                None => "  ",
            };
            let key = line.key.map(|key| format!("{key}: ")).unwrap_or_default();
            format!("{}{mark}{key}{}", "  ".repeat(line.depth), line.text)
        })
        .collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

#[test]
fn json_keeps_order_doubled_names_and_the_text_of_numbers() {
    let payload = read(
        r#"{"z":1e400,"a":12345678901234567890123,"z":{"b":[1.50,-0,true,null]},"e":[],"t":"a\n\u00e9\ud83d\ude00\ud800"}"#,
    );
    assert_eq!(payload.encoding(), "json");
    assert_eq!(
        drawn(&payload, &Folds::open_to(usize::MAX)),
        [
            "v { 5 }",
            "    z: 1e400",
            "    a: 12345678901234567890123",
            "  v z: { 1 }",
            "    v b: [ 4 ]",
            "        0: 1.50",
            "        1: -0",
            "        2: true",
            "        3: null",
            "    e: []",
            "    t: \"a␊é😀\u{FFFD}\"",
        ]
    );
    let tree = payload.tree.as_ref().unwrap();
    assert_eq!(tree.at(&["z", "b", "0"]).unwrap().text(), "1.50");
    assert!(tree.at(&["z", "b", "9"]).is_none());
    assert_eq!(tree.path(5), "z.b[0]");
    assert_eq!(tree.path(0), "");
}

#[test]
fn folds_hide_what_is_below_and_show_what_is_short() {
    let payload = read(r#"{"to":"ada","filters":{"since":"2026","kinds":["a","b"]},"n":[{"x":1}]}"#);
    let mut folds = Folds::open_to(1);
    assert_eq!(
        drawn(&payload, &folds),
        ["v { 3 }", "    to: \"ada\"", "  > filters: { 2 }", "  > n: [ 1 ]"],
        "containers inside are no preview"
    );
    folds.toggle(2);
    let open = drawn(&payload, &folds);
    assert_eq!(open[2..5], ["  v filters: { 2 }", "      since: \"2026\"", "    > kinds: [\"a\", \"b\"]"]);
    folds.toggle(2);
    assert_eq!(folds, Folds::open_to(1));
    let tree = payload.tree.as_ref().unwrap();
    folds.set_open(tree.root().unwrap(), false);
    assert_eq!(drawn(&payload, &folds), ["> { 3 }"]);
    assert_eq!(tree.visible(&Folds::open_to(usize::MAX)).len(), tree.len());
}

#[test]
fn a_cut_document_gives_what_was_begun() {
    let whole = br#"{"to":"ada@example.com","items":[1,22,{"deep":"text that goes on"}]}"#;
    for kept in 1..whole.len() {
        let payload = cut(whole, kept);
        assert!(payload.cut);
        assert_eq!(payload.format, Format::Json, "at {kept}");
    }
    let payload = cut(whole, 56);
    assert_eq!(drawn(&payload, &Folds::open_to(9)).last().unwrap(), "        deep: \"text that\"");
    assert_eq!(cut("{\"a\":\"é".as_bytes(), 7).format, Format::Json, "half a character");
    assert_eq!(cut(b"Not found: x", 2).format, Format::Text);
}

#[test]
fn what_is_no_json_is_text() {
    for text in
        ["{", "[1,]", "[,1]", "{\"a\"}", "{\"a\":1,}", "[1 2]", "[1}", "01", "1.", "\"a", "nul", "{}{}", "[\"\\x\"]"]
    {
        assert_eq!(read(text).format, Format::Text, "{text}");
    }
    for text in
        ["{}", " [ ] ", "0", "-1.5e+3", "\"a\\\"b\"", "null", "[NaN,-Infinity,Infinity]", "{ \"a\" : [ 1 , 2 ] }"]
    {
        assert_eq!(read(text).format, Format::Json, "{text}");
    }
    assert_eq!(read("").format, Format::Empty);
    assert_eq!(read("hello\nworld").encoding(), "text");
    assert_eq!(read(&b"\xff\xfe\x00"[..]).encoding(), "binary");
    assert_eq!(read(&b"a\x00b"[..]).encoding(), "binary");
}

#[test]
fn s6_deep_nesting_costs_no_stack() {
    for depth in [65, 100_000, 5_000_000] {
        let payload = read("[".repeat(depth) + &"]".repeat(depth));
        assert_eq!(payload.format, Format::Text, "{depth}");
        assert!(payload.notes[0].contains("deeper than 64"), "{:?}", payload.notes);
    }
    assert_eq!(read("[".repeat(64) + &"]".repeat(64)).format, Format::Json);
    let deep_map = "{\"a\":".repeat(100_000);
    assert_eq!(read(deep_map).format, Format::Text);
    let packed = read([&[0x91; 100_000][..], &[0xc0]].concat());
    assert_eq!(packed.format, Format::Binary);
    assert!(packed.notes[0].contains("msgpack"), "{:?}", packed.notes);
}

#[test]
fn s6_too_many_values_are_cut_with_a_word() {
    let payload = read(format!("[{}0]", "0,".repeat(2_000_000)));
    let tree = payload.tree.as_ref().unwrap();
    assert_eq!(tree.len(), 1_000_000);
    assert!(payload.cut && payload.notes[0].contains("1000000"), "{:?}", payload.notes);
    assert_eq!(drawn(&payload, &Folds::default()), ["> [ 999999 ]"], "a huge container is closed at first");
    let small = Limits { nodes: 5, bytes: 30, ..Limits::default() };
    let payload = Payload::read(&Blob::whole("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]"), &small);
    assert_eq!(payload.tree.unwrap().len(), 5);
    assert_eq!(payload.bytes.len(), 30);
}

#[test]
fn s6_msgpack_is_read_exactly() {
    let bytes = [
        &[0x88][..],
        b"\xa1a\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1b\xd0\x80",
        b"\xa1c\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00",
        b"\xa1d\x92\xc0\xc3",
        b"\xa1e\xc4\x03\x01\x02\xff",
        b"\xa1f\xd6\xff\x00\x00\x00\x01",
        b"\x05\x80",
        b"\xa1h\xd9\x02\xc3\xa9",
    ]
    .concat();
    let payload = read(bytes.clone());
    assert_eq!(payload.encoding(), "msgpack");
    assert_eq!(
        drawn(&payload, &Folds::open_to(9)),
        [
            "v { 8 }",
            "    a: 18446744073709551615",
            "    b: -128",
            "    c: 1.5",
            "  v d: [ 2 ]",
            "      0: null",
            "      1: true",
            "    e: 3 bytes 0102ff",
            "    f: 1970-01-01T00:00:01.000Z",
            "    5: {}",
            "    h: \"é\"",
        ]
    );
    assert_eq!(cut(&bytes, 20).format, Format::Msgpack);
    assert_eq!(read([&bytes[..], b"x"].concat()).format, Format::Binary, "something follows");
    // An array that claims four thousand million values allocates nothing for them.
    assert_eq!(read(&b"\xdd\xff\xff\xff\xff\x01"[..]).format, Format::Binary);
    assert_eq!(read("\u{723}\u{710}").format, Format::Text, "Syriac begins like a map of 16 bits");
}

#[test]
fn s14_packed_payloads_are_opened() {
    let payload = read(gzip(b"{\"a\":1}"));
    assert_eq!((payload.encoding().as_str(), payload.bytes.as_ref()), ("gzip + json", &b"{\"a\":1}"[..]));
    assert_eq!(read(zlib(b"hello hello hello")).encoding(), "zlib + text");
    assert_eq!(read(gzip(&zlib(b"[1,2]"))).encoding(), "gzip + zlib + json");
    assert_eq!(read(gzip(b"")).encoding(), "gzip + empty");
    assert_eq!(read("HK is a text").encoding(), "text");
    assert_eq!(read(&b"\x28\xb5\x2f\xfd\x00\x00"[..]).encoding(), "zstd + binary");
    let random: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let packed = gzip(&random);
    let part = cut(&packed, packed.len() / 2);
    assert!(part.cut && !part.bytes.is_empty() && part.notes[0].contains("in part"), "{:?}", part.notes);
}

#[test]
fn s14_a_bomb_is_stopped_by_ratio_and_size() {
    let bomb = gzip(&vec![0; 10_000_000]);
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    let payload = read(bomb.clone());
    assert_eq!(payload.bytes.len(), bomb.len() * 200);
    assert!(payload.cut && payload.notes[0].contains("stopped"), "{:?}", payload.notes);
    let limits = Limits { bytes: 65_536, ..Limits::default() };
    assert_eq!(Payload::read(&Blob::whole(bomb), &limits).bytes.len(), 65_536);
}

#[test]
fn s3_names_and_values_are_harmless_in_lines() {
    let payload = read("{\"a\\u001b[2J\":\"x\u{202e}\\ry\",\"b\":\"\x1b]0;t\x07\"}");
    assert_eq!(drawn(&payload, &Folds::default())[1..], ["    a␛[2J: \"x<U+202E>␍y\"", "    b: \"␛]0;t␇\""]);
}

#[test]
fn long_values_are_shown_in_part() {
    let payload = read(format!("{{\"a\":\"{}\"}}", "é".repeat(1_000_000)));
    let line = &drawn(&payload, &Folds::default())[1];
    assert!(line.len() < 5_000 && line.ends_with("é…"), "{}", line.len());
    let node = payload.tree.as_ref().unwrap().node(1).unwrap();
    assert_eq!(node.text_bytes(), 2_000_000);
    assert_eq!(node.text().chars().count(), 1_000_000);
}

#[test]
fn hex_rows_are_made_one_by_one() {
    let bytes: Vec<u8> = (0..=16).map(|n| n + 0x3a).collect();
    assert_eq!(hex_rows(bytes.len()), 2);
    assert_eq!(
        hex_row(&bytes, 0).unwrap(),
        "00000000  3a 3b 3c 3d 3e 3f 40 41  42 43 44 45 46 47 48 49  |:;<=>?@ABCDEFGHI|"
    );
    assert_eq!(hex_row(&bytes, 1).unwrap(), format!("00000010  4a {:46} |J|", ""));
    assert_eq!(hex_row(&bytes, 2), None);
    assert_eq!(hex_row(&bytes, usize::MAX), None);
    assert_eq!(hex_row(b"", 0), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn s6_any_bytes_are_read_without_a_crash(bytes in prop::collection::vec(any::<u8>(), 0..300), total in 0u64..600) {
        let payload = Payload::read(&Blob { bytes: bytes.clone().into(), total }, &Limits::default());
        if let Some(tree) = &payload.tree {
            for line in tree.lines(&Folds::open_to(usize::MAX)) {
                prop_assert!(crate::domain::text::is_harmless(&line.text));
            }
        }
    }

    #[test]
    fn json_is_accepted_exactly_when_serde_json_accepts_it(text in "[\\[\\]{}:, \"\\\\0-2.eE+a-]{0,12}") {
        let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        let ours = json::read(&Bytes::from(text.clone().into_bytes()), false, &Limits::default()).is_ok();
        // Numbers beyond a double are the one thing that is accepted here only.
        let huge = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
        prop_assert!(ours == theirs || (ours && huge), "{text:?}: ours {ours}, theirs {theirs}");
    }
}
