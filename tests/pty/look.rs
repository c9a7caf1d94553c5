//! What reaches the terminal: sizes, colours, character sets, silence.

use std::time::Duration;

use qtop_testkit::Terminal;

use super::{LIMIT, qtop, seeded, started};

#[test]
fn f1_something_is_on_the_screen_at_once_and_numbers_follow() {
    let server = seeded();
    let terminal = started(&server);
    let first = terminal.time_to_first_output().expect("a screen with queues was written");
    // The promise is 50 ms for a release build on an idle machine (tests/bench); this is a debug build among tests.
    assert!(first < Duration::from_millis(500), "first output after {first:?}");
    assert!(terminal.text().contains("reports"));
}

/// All but the first line, which tells how the link is at this moment.
fn below_the_header(terminal: &Terminal) -> Vec<String> {
    terminal.text().lines().skip(1).map(|line| line.trim_end().to_owned()).collect()
}

/// The screen must equal what a full repaint gives.
fn assert_nothing_stale(terminal: &mut Terminal) {
    terminal.wait_for_quiet(Duration::from_millis(300), LIMIT);
    let drawn = below_the_header(terminal);
    terminal.send("\x0c");
    std::thread::sleep(Duration::from_millis(200));
    terminal.wait_for_quiet(Duration::from_millis(300), LIMIT);
    assert_eq!(drawn, below_the_header(terminal), "cells were left over");
}

#[test]
fn u7_a_storm_of_resizes_leaves_no_stale_cells() {
    let server = seeded();
    let mut terminal = started(&server);
    // A fixed row of pseudo-random sizes, from nothing to 500×200.
    let mut state = 0x2545_f491_u32;
    for _ in 0..300 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (columns, rows) = ((state >> 8) % 500, (state >> 20) % 200);
        terminal.resize(columns as u16, rows as u16);
        std::thread::sleep(Duration::from_millis(5));
    }
    terminal.resize(100, 30);
    terminal.wait_for_text("mail", LIMIT);
    assert!(terminal.is_running());
    assert_nothing_stale(&mut terminal);
    terminal.send("q");
    assert_eq!(terminal.wait_exit(LIMIT).code, 0);
}

#[test]
fn u8_a_tiny_terminal_says_so_and_takes_q() {
    let server = seeded();
    let mut terminal = qtop(&server.url()).size(30, 8).spawn();
    terminal.wait_for("a word about the size", LIMIT, |screen| screen.contents().contains("needs more room"));
    terminal.send("q");
    assert_eq!(terminal.wait_exit(LIMIT).code, 0);
}

#[test]
fn u13_no_color_means_no_colour() {
    let server = seeded();
    let mut terminal = qtop(&server.url()).env("NO_COLOR", "1").env("COLORTERM", "truecolor").spawn();
    terminal.wait_for_text("mail", LIMIT);
    for key in ["2", "3", "4", "1"] {
        terminal.send(key);
        terminal.wait_for_quiet(Duration::from_millis(100), LIMIT);
    }
    let raw = String::from_utf8_lossy(&terminal.raw()).into_owned();
    for sequence in raw.split("\x1b[").skip(1) {
        let Some(end) = sequence.find(|c: char| c.is_ascii_alphabetic()) else { continue };
        if sequence.as_bytes()[end] == b'm' {
            let coloured = sequence[..end]
                .split(';')
                .any(|code| matches!(code.parse(), Ok(30..=38 | 40..=48 | 90..=97 | 100..=107)));
            assert!(!coloured, "a colour was written: ESC[{}", &sequence[..=end]);
        }
    }
}

#[test]
fn u12_other_locales_get_ascii_only() {
    let server = seeded();
    for (variable, value) in [("LANG", "C"), ("LANG", "POSIX"), ("LC_ALL", "C"), ("LANG", "xx_YY.latin9")] {
        let mut builder = qtop(&server.url()).without_env("LANG");
        builder = builder.env(variable, value);
        let mut terminal = builder.spawn();
        terminal.wait_for_text("mail", LIMIT);
        for key in ["2", "3", "1", "?"] {
            terminal.send(key);
            terminal.wait_for_quiet(Duration::from_millis(100), LIMIT);
        }
        let raw = terminal.raw();
        let foreign = raw.iter().find(|byte| **byte > 0x7e);
        assert_eq!(foreign, None, "{variable}={value}: a byte beyond ASCII was written");
    }
}

#[test]
fn u16_mouse_focus_paste_and_keyboard_protocols_are_off() {
    let server = seeded();
    let terminal = started(&server);
    let raw = String::from_utf8_lossy(&terminal.raw()).into_owned();
    for unwanted in
        ["\x1b[?1000h", "\x1b[?1002h", "\x1b[?1003h", "\x1b[?1006h", "\x1b[?1004h", "\x1b[?2004h", "\x1b[>1u"]
    {
        assert!(!raw.contains(unwanted), "{unwanted:?} was written at the start");
    }
}

#[test]
fn f5_nothing_is_written_while_nothing_changes() {
    let server = seeded();
    let terminal = started(&server);
    // Six refreshes in a row without a byte, once rates and costs have settled within their windows. The round-trip time
    // is a figure too, and on a busy machine it really changes; the idle minute is measured by tests/bench.
    terminal.wait_for_quiet(Duration::from_secs(6), Duration::from_secs(150));
    assert!(terminal.text().contains("mail"));
}
