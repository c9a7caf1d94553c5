use super::super::{Folds, Format, Payload};
use super::*;
use crate::domain::job::Blob;

fn payload(bytes: &[u8]) -> Payload {
    Payload::read(&Blob::whole(bytes.to_vec()), &Limits::default())
}

fn drawn(bytes: &[u8]) -> Vec<String> {
    let payload = payload(bytes);
    assert_eq!(payload.format, Format::Pickle, "{:?}", payload.notes);
    let tree = payload.tree.as_ref().expect("a tree");
    let folds = Folds::open_to(usize::MAX);
    tree.lines(&folds)
        .map(|line| {
            let key = line.key.map(|key| format!("{key}: ")).unwrap_or_default();
            format!("{}{key}{}", "  ".repeat(line.depth), line.text)
        })
        .collect()
}

fn text(value: &str) -> Vec<u8> {
    let mut out = vec![0x8c, u8::try_from(value.len()).unwrap()];
    out.extend_from_slice(value.as_bytes());
    out
}

/// `module.name(arguments)` in protocol 4.
fn called(module: &str, name: &str, arguments: &[u8]) -> Vec<u8> {
    [text(module), text(name), vec![0x93, b'('], arguments.to_vec(), b"tR".to_vec()].concat()
}

fn whole(body: &[u8]) -> Vec<u8> {
    [b"\x80\x04", body, b"."].concat()
}

#[test]
fn s6_values_of_all_protocols_are_read() {
    // {'a': [1, -2, 3.5, None, True], 'b': (b'xy', 'é', 2**70)} by Python's pickle.
    let four = b"\x80\x04\x95\x3e\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00N\x88e\x8c\x01b\x94C\x02xy\x94\x8c\x02\xc3\xa9\x94\x8a\t\x00\x00\x00\x00\x00\x00\x00\x00@\x87\x94u.";
    let zero = b"(dp0\nVa\np1\n(lp2\nI1\naI-2\naF3.5\naNaI01\nasVb\np3\n(c_codecs\nencode\np4\n(Vxy\np5\nVlatin1\np6\ntp7\nRp8\nV\xe9\np9\nL1180591620717411303424L\ntp10\ns.";
    for bytes in [&four[..], zero] {
        let lines = drawn(bytes);
        assert_eq!(
            lines,
            [
                "{ 2 }",
                "  a: [ 5 ]",
                "    0: 1",
                "    1: -2",
                "    2: 3.5",
                "    3: null",
                "    4: true",
                "  b: [ 3 ]",
                "    0: 2 bytes 7879",
                "    1: \"é\"",
                "    2: 1180591620717411303424",
            ]
        );
    }
}

#[test]
fn s6_nothing_is_called_whatever_the_pickle_asks() {
    assert_eq!(drawn(&whole(&called("posix", "system", &text("touch /tmp/x")))), ["posix.system('touch /tmp/x')"]);
    assert_eq!(drawn(b"cos\nsystem\n(S'id'\ntR."), ["os.system('id')"]);
    let inner = called("builtins", "eval", &text("1"));
    assert_eq!(drawn(&whole(&called("operator", "call", &inner)))[..2], ["{ 2 }", "  (class): operator.call"]);
}

#[test]
fn well_known_classes_are_shown_as_what_they_mean() {
    let utc = called("datetime", "timezone", &called("datetime", "timedelta", b"K\x00K\x00K\x00"));
    let moment = [&b"C\x0a\x07\xea\x0b\x16\x0d\x05\x09\x00\x00\x01"[..], &utc].concat();
    assert_eq!(drawn(&whole(&called("datetime", "datetime", &moment))), ["2026-11-22T13:05:09.000001Z"]);
    assert_eq!(drawn(&whole(&called("datetime", "date", b"C\x04\x07\xea\x0b\x16"))), ["2026-11-22"]);
    assert_eq!(drawn(&whole(&called("datetime", "timedelta", b"K\x01M\x20\x1cK\x00"))), ["1 day, 2:00:00"]);
    assert_eq!(drawn(&whole(&called("decimal", "Decimal", &text("1.50")))), ["1.50"]);
    let error = called("builtins", "ValueError", &text("it's bad"));
    assert_eq!(drawn(&whole(&error)), ["ValueError(\"it's bad\")"]);
    let uuid = [text("uuid"), text("UUID"), b"\x93)\x81}".to_vec(), text("int"), b"\x8a\x01\x07sb".to_vec()].concat();
    assert_eq!(drawn(&whole(&uuid)), ["00000000-0000-0000-0000-000000000007"]);
    let user = [text("app.models"), text("User"), b"\x93)\x81}(".to_vec(), text("name"), text("ada"), b"ub".to_vec()];
    assert_eq!(drawn(&whole(&user.concat())), ["{ 2 }", "  (class): app.models.User", "  name: \"ada\""]);
    let ordered = [called("collections", "OrderedDict", b""), b"(".to_vec(), text("k"), b"K\x01u".to_vec()].concat();
    assert_eq!(drawn(&whole(&ordered)), ["{ 1 }", "  k: 1"]);
}

#[test]
fn s6_hostile_pickles_cost_no_stack_and_no_more_memory_than_allowed() {
    // Twenty thousand lists inside one another, and a million.
    for depth in [20_000, 1_000_000] {
        let deep = [&b"\x80\x04"[..], &b"]".repeat(depth), &b"a".repeat(depth - 1), b"."].concat();
        let read = payload(&deep);
        assert_eq!((read.format, read.tree.is_none()), (Format::Binary, true));
        assert!(read.notes[0].contains("pickle nested deeper"), "{:?}", read.notes);
    }
    // Each list holds the one before twice, thirty times over: a thousand million values if it were written out.
    let mut bomb = b"\x80\x04]\x94".to_vec();
    for level in 0..30u8 {
        bomb.extend_from_slice(&[b']', 0x94, b'(', b'h', level, b'h', level, b'e']);
    }
    bomb.push(b'.');
    let read = Payload::read(&Blob::whole(bomb.clone()), &Limits { nodes: 10_000, ..Limits::default() });
    // Leftovers on the stack make it no pickle; as the value of a tuple it is one.
    assert!(read.tree.is_none_or(|tree| tree.len() <= 10_000));
    bomb.pop();
    bomb.splice(2..2, *b"(");
    bomb.extend_from_slice(b"t.");
    let read = Payload::read(&Blob::whole(bomb), &Limits { nodes: 10_000, ..Limits::default() });
    assert!(read.tree.is_some_and(|tree| tree.len() <= 10_000 && tree.is_limited()));
    // A list that contains itself.
    assert_eq!(drawn(b"\x80\x04]\x94h\x00a."), ["[ 1 ]", "  0: (contains itself here)"]);
    // A text of a megabyte named a hundred thousand times.
    let long = vec![b'x'; 1 << 20];
    let mut shared = [&b"\x80\x04(X\x00\x00\x10\x00"[..], &long, b"\x94"].concat();
    shared.extend_from_slice(&b"h\x00".repeat(100_000));
    shared.extend_from_slice(b"t.");
    let read = payload(&shared);
    assert_eq!(read.tree.map(|tree| tree.len()), Some(100_002));
    for broken in [
        &b"\x80\x04."[..],
        b"\x80\x04h\x05.",
        b"\x80\x04(N",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04t.",
        b"\x80\x04)Na.",
    ] {
        assert_eq!(payload(broken).format, Format::Binary, "{broken:?}");
    }
}

#[test]
fn a_cut_pickle_gives_what_was_begun() {
    let whole = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01t\x94N\x8c\x01f\x94\x8c\x04send\x94\x8c\x01a\x94(K\x01K\x02t\x94\x8c\x01k\x94}\x94\x8c\x02et\x94K\x09u.";
    for kept in 12..whole.len() {
        let blob = Blob { bytes: Bytes::copy_from_slice(&whole[..kept]), total: whole.len() as u64 };
        let read = Payload::read(&blob, &Limits::default());
        assert_eq!(read.format, Format::Pickle, "at {kept}");
        if kept > 40 {
            assert_eq!(read.tree.unwrap().at(&["f"]).unwrap().text(), "send", "at {kept}");
        }
    }
}

#[test]
fn the_head_of_a_result_is_a_definition() {
    let result = b"\x80\x04\x95\x40\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01t\x94K\x06\x8c\x01f\x94\x8c\x01s\x94\x8c\x01a\x94]\x94h\x04a\x8c\x02et\x94K\x09h\x04\x89\x8c\x01s\x94\x89\x8c\x01r\x94Nu.";
    // The key `s` was memoized as the name of the function, so that it comes as a reference the first time.
    let head = head_of_map(result, "s").unwrap();
    let lines = drawn(&with_none(&head, "t").unwrap());
    assert_eq!(lines[..4], ["{ 5 }".to_owned(), "  t: null".into(), "  f: \"s\"".into(), "  a: [ 1 ]".into()]);
    assert_eq!(head_of_map(b"\x80\x04]\x94.", "s"), None);
    assert_eq!(with_none(b"\x80\x04}\x94(\x8c\x01tK\x01u.", "x"), None);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]

    #[test]
    fn s6_any_instructions_are_read_without_a_crash(
        body in proptest::collection::vec(proptest::prop_oneof![
            proptest::sample::select(b"(.0123N]})RabetusdlocK\x81\x85\x86\x87\x93\x94h".to_vec()),
            proptest::prelude::any::<u8>(),
        ], 0..200),
        cut in proptest::prelude::any::<bool>(),
    ) {
        let bytes = [&b"\x80\x04"[..], &body].concat();
        let total = bytes.len() as u64 + u64::from(cut);
        let read = Payload::read(&Blob { bytes: bytes.clone().into(), total }, &Limits::default());
        if let Some(tree) = &read.tree {
            for line in tree.lines(&Folds::open_to(usize::MAX)) {
                proptest::prop_assert!(crate::domain::text::is_harmless(&line.text));
            }
        }
        let _ = head_of_map(&bytes, "s");
        let _ = with_none(&bytes, "t");
    }
}
