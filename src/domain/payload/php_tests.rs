use proptest::prelude::*;

use super::*;

fn read(bytes: impl Into<Bytes>) -> Payload {
    Payload::read(&Blob::whole(bytes), &Limits::default())
}

fn drawn(payload: &Payload) -> Vec<String> {
    let tree = payload.tree.as_ref().expect("a tree");
    tree.lines(&Folds::open_to(usize::MAX))
        .map(|line| {
            let key = line.key.map(|key| format!("{key}: ")).unwrap_or_default();
            format!("{}{key}{}", "  ".repeat(line.depth), line.text)
        })
        .collect()
}

/// A command as Laravel 8 serializes it (PHP 8.2): properties of all kinds, a nested object, a reference, an enum.
const COMMAND: &str = "O:13:\"App\\Jobs\\Send\":7:{s:2:\"to\";s:6:\"ad\u{e9}e!\";s:8:\"\0*\0tries\";i:-3;s:21:\"\0App\\Jobs\\Send\0secret\";d:0.5;\
    s:4:\"tags\";a:2:{i:0;b:1;s:1:\"k\";N;}s:4:\"when\";O:8:\"DateTime\":1:{s:4:\"date\";s:10:\"2024-01-01\";}s:4:\"self\";r:1;\
    s:4:\"suit\";E:11:\"Suit:Hearts\";}";

#[test]
fn a_laravel_command_is_shown_with_class_and_properties() {
    let payload = read(COMMAND);
    assert_eq!(payload.encoding(), "php", "{:?}", payload.notes);
    assert_eq!(
        drawn(&payload),
        [
            "{ 8 }",
            "  @class: App\\Jobs\\Send",
            "  to: \"ad\u{e9}e!\"",
            "  tries: -3",
            "  secret: 0.5",
            "  tags: { 2 }",
            "    0: true",
            "    k: null",
            "  when: { 2 }",
            "    @class: DateTime",
            "    date: \"2024-01-01\"",
            "  self: the same as value 1",
            "  suit: Suit:Hearts",
        ]
    );
}

#[test]
fn lengths_count_bytes_and_what_is_no_text_is_shown_as_bytes() {
    let payload = read(&b"a:2:{i:0;s:2:\"\xff\xfe\";i:1;s:3:\"\";}\";}"[..]);
    assert_eq!(payload.format, Format::Php);
    let lines = drawn(&payload);
    assert!(lines[1].starts_with("  0: 2 bytes fffe"), "{lines:?}");
    assert_eq!(lines[2], "  1: \"\";}\"");
    let own = read(&b"C:11:\"ArrayObject\":5:{x:i:0}"[..]);
    assert_eq!(own.format, Format::Php);
}

#[test]
fn s14_hostile_values_are_text_and_nothing_more() {
    for bad in [
        "a:9999999999:{",
        "a:2:{i:0;i:1;}",
        "a:0:{}x",
        "s:5:\"abc\";",
        "s:99999999999999999999:\"\";",
        "O:3:\"Foo\":-1:{}",
        "O:1:\"A\":1:{a:0:{}i:1;}",
        "a:1:{i:0;d:zero;}",
        "a:1:{i:0;b:2;}",
        "a:1:{i:0;x:1;}",
        "a:1:{i:-;i:1;}",
    ] {
        let payload = read(bad);
        assert_eq!(payload.format, Format::Text, "{bad}");
    }
    let mut deep = "a:1:{i:0;".repeat(100_000);
    deep.push_str("N;");
    deep.push_str(&"}".repeat(100_000));
    let payload = read(deep);
    assert_eq!(payload.format, Format::Text);
    assert!(payload.notes.iter().any(|note| note.contains("nested deeper")), "{:?}", payload.notes);
}

#[test]
fn s6_many_values_are_cut_and_a_cut_value_shows_what_it_has() {
    let mut many = String::from("a:2000000:{");
    for index in 0..2_000_000 {
        many.push_str(&format!("i:{index};N;"));
    }
    many.push('}');
    let payload = Payload::read(&Blob::whole(many), &Limits { bytes: 64 << 20, ..Limits::default() });
    assert!(payload.cut && payload.format == Format::Php, "{:?}", payload.notes);
    let whole = COMMAND.as_bytes();
    for kept in 30..whole.len() {
        let blob = Blob { bytes: Bytes::copy_from_slice(&whole[..kept]), total: whole.len() as u64 };
        let payload = Payload::read(&blob, &Limits::default());
        assert_eq!(payload.format, Format::Php, "{kept} bytes");
    }
}

proptest! {
    #[test]
    fn s14_any_bytes_are_read_without_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..300) {
        read(bytes.clone());
        let mut broken = COMMAND.as_bytes().to_vec();
        let place = at % broken.len();
        broken.splice(place..place, bytes);
        read(broken);
    }
}
