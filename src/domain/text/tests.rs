use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::queue::Count;
use crate::domain::time::Timestamp;

/// Strings rich in what hurts: controls, bidi, zero-width, marks, wide and joined emoji, private use, any scalar.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => any::<char>(),
        2 => prop::char::range('\0', '\u{9f}'),
        1 => prop::char::range('\u{2000}', '\u{206f}'),
        2 => prop::char::range('\u{300}', '\u{36f}'),
        1 => prop::char::range('\u{4e00}', '\u{4eff}'),
        1 => prop::char::range('\u{1f300}', '\u{1faff}'),
        1 => prop::char::range('\u{1f1e6}', '\u{1f1ff}'),
        1 => prop::char::range('\u{600}', '\u{6ff}'),
        1 => prop::char::range('\u{1100}', '\u{11ff}'),
        1 => Just('\u{200d}'),
        1 => Just('\u{fe0f}'),
        2 => prop::char::range(' ', '~'),
    ];
    prop::collection::vec(piece, 0..60).prop_map(String::from_iter)
}

fn assert_nothing_hidden(text: &str) {
    for c in text.chars() {
        assert!(!c.is_control(), "control {:?} in {text:?}", c);
        assert!(!matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'), "{text:?}");
        assert!(!matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{f0000}'..), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn s3_nothing_that_controls_a_terminal_survives(text in hostile()) {
        let safe = harmless(&text);
        assert_nothing_hidden(&safe);
        prop_assert!(is_harmless(&safe), "{:?}", safe);
        prop_assert_eq!(harmless(&safe), safe.as_ref());
        let mut marks = 0;
        for c in safe.chars() {
            marks = if unicode_width::UnicodeWidthChar::width(c) == Some(0) { marks + 1 } else { 0 };
            prop_assert!(marks <= MAX_COMBINING_MARKS);
        }
    }

    #[test]
    fn s3_bytes_of_any_kind_become_harmless(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        assert_nothing_hidden(&harmless_bytes(&bytes));
        for line in lines(&String::from_utf8_lossy(&bytes)) {
            assert_nothing_hidden(&line);
        }
    }

    #[test]
    fn u19_a_cut_text_is_never_wider_than_asked(text in hostile(), columns in 0usize..40) {
        for cut in [fit(&text, columns), fit_end(&text, columns), fit_middle(&text, columns)] {
            prop_assert!(width(&cut) <= columns, "{:?} in {columns}", cut);
            prop_assert!(is_harmless(&cut), "{:?}", cut);
        }
        prop_assert_eq!(width(&pad(&text, columns)), columns);
        prop_assert_eq!(width(&pad_start(&text, columns)), columns);
    }

    #[test]
    fn u12_ascii_keeps_the_width(text in hostile()) {
        let safe = harmless(&text).into_owned();
        let plain = ascii(&text);
        prop_assert!(plain.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        prop_assert_eq!(plain.len(), width(&safe));
    }

    #[test]
    fn ages_and_counts_stay_short(seconds in any::<u64>(), value in any::<u64>(), columns in 1usize..12) {
        let text = age_in(Duration::from_secs(seconds), columns);
        prop_assert!(text.len() <= columns);
        prop_assert!(age(Duration::from_secs(seconds)).split(' ').count() <= 2);
        prop_assert!(width(&count(value)) <= 5, "{}", count(value));
        prop_assert!(count(value).bytes().filter(u8::is_ascii_digit).count() <= 4);
        prop_assert!(size(value).len() <= 7, "{}", size(value));
    }

    #[test]
    fn rates_stay_short(value in any::<f64>()) {
        prop_assert!(width(&rate(value)) <= 6, "{}", rate(value));
    }
}

#[test]
fn s3_substitutes_can_be_seen_and_told_apart() {
    assert_eq!(harmless("plain text"), "plain text");
    assert!(matches!(harmless("grüße 漢字"), std::borrow::Cow::Borrowed(_)));
    assert_eq!(harmless("a\nb\r\x1b[31m\x7f"), "a␊b␍␛[31m␡");
    assert_eq!(harmless("\u{9b}31m"), "<U+009B>31m");
    assert_eq!(harmless("gpj.\u{202e}exe"), "gpj.<U+202E>exe");
    assert_eq!(harmless("a\u{200b}b\u{2066}"), "a<U+200B>b<U+2066>");
    assert_eq!(harmless("\u{e000}"), "<U+E000>");
    assert_eq!(harmless_bytes(b"ok\xff\x00"), "ok\\xFF␀");
}

#[test]
fn s3_a_pile_of_marks_is_cut_to_eight() {
    let pile = format!("a{}b", "\u{301}".repeat(50));
    assert_eq!(harmless(&pile), format!("a{}…b", "\u{301}".repeat(8)));
    assert_eq!(harmless("\u{301}x"), "\u{25cc}\u{301}x");
}

#[test]
fn lines_are_split_and_tabs_widened() {
    let got: Vec<_> = lines("a\tb\r\n\tc\x1b\n").map(|line| line.into_owned()).collect();
    assert_eq!(got, ["a   b", "    c␛"]);
    assert_eq!(first_line("\n  Error: no\r\n at x", 500), "Error: no");
    assert_eq!(first_line("abcdef", 3), "abc");
}

#[test]
fn u19_cuts_at_clusters_and_says_so() {
    assert_eq!(fit("message_queue", 20), "message_queue");
    assert_eq!(fit("message_queue", 8), "message…");
    assert_eq!(fit("漢字漢字", 4), "漢…");
    assert_eq!(fit("漢字", 0), "");
    assert_eq!(fit_end("app:prod:mail", 6), "…:mail");
    assert_eq!(fit_middle("0123456789", 5), "01…89");
    assert_eq!(pad("漢字漢字", 4), "漢… ");
    assert_eq!(pad_start("12", 5), "   12");
    assert_eq!(ascii("1\u{2009}204 漢 …"), "1 204 ?? ~");
    assert_eq!(ascii("38 µs"), "38 us");
}

#[test]
fn a_name_of_megabytes_is_cut_without_reading_it_whole() {
    let long = "漢".repeat(2_000_000);
    let started = std::time::Instant::now();
    assert_eq!(width(&fit(&long, 41)), 41);
    assert!(started.elapsed() < Duration::from_millis(50), "took {:?}", started.elapsed());
    let pile = format!("a{}", "\u{301}".repeat(100_000));
    assert!(fit(&pile, 10).ends_with('…'));
}

#[test]
fn ages_take_at_most_two_units() {
    let table =
        [(0, "0s"), (38, "38s"), (60, "1m"), (7_500, "2h 5m"), (93_600, "1d 2h"), (86_400, "1d"), (3_605, "1h")];
    for (seconds, text) in table {
        assert_eq!(age(Duration::from_secs(seconds)), text);
    }
    assert_eq!(age_in(Duration::from_secs(7_500), 5), "2h 5m");
    assert_eq!(age_in(Duration::from_secs(7_500), 4), "2h");
    assert_eq!(age_in(Duration::from_secs(7_500), 1), ">");
    assert_eq!(span(Duration::from_millis(350)), "350ms");
    assert_eq!(span(Duration::from_millis(4_250)), "4.2s");
    assert_eq!(span(Duration::from_secs(62)), "1m 2s");
}

#[test]
fn numbers_have_at_most_four_digits() {
    for (value, text) in [
        (0, "0"),
        (999, "999"),
        (1_204, "1\u{2009}204"),
        (12_499, "12.4k"),
        (155_000, "155k"),
        (999_999, "999k"),
        (3_100_000, "3.1M"),
        (u64::MAX, "18.4E"),
    ] {
        assert_eq!(count(value), text);
    }
    assert_eq!(size(999), "999 B");
    assert_eq!(size(1_234), "1.2 KB");
    assert_eq!(size(64_000_000), "64.0 MB");
    assert_eq!(counted(Count::AtLeast(500)), "500+");
    assert_eq!(counted(Count::Approx { value: 40, as_of: Timestamp(0) }), "~40");
    assert_eq!(counted(Count::Unknown), "?");
}

#[test]
fn rates_and_shares_say_what_is_small() {
    for (value, text) in
        [(0.0, "0.0"), (0.004, "<0.01"), (0.04, "0.04"), (0.2, "0.2"), (88.0, "88.0"), (155.4, "155"), (-2.1, "-2.1")]
    {
        assert_eq!(rate(value), text);
    }
    assert_eq!(rate(f64::NAN), "?");
    assert_eq!(percent(99.9), "99%");
    assert_eq!(percent(100.0), "100%");
    assert_eq!(percent(2.14), "2.1%");
    assert_eq!(percent(40.0), "40%");
}

#[test]
fn durations_are_read_as_people_write_them() {
    let seconds = |text| span_of(text).map(|span| span.as_millis());
    for (text, millis) in [("90s", 90_000), ("1h 30m", 5_400_000), ("7d", 604_800_000), ("250ms", 250), ("12", 12_000)]
    {
        assert_eq!(seconds(text), Some(millis), "{text}");
    }
    for bad in ["", "s", "7x", "-1s", "1.5h", "5m3", "99999999999999999999s", "99999999999999w"] {
        assert_eq!(span_of(bad), None, "{bad}");
    }
}
