//! However it ends, the terminal is as it was before.

use std::time::{Duration, Instant};

use qtop_testkit::{Exit, Proxy, Terminal, TestServer, signal};

use super::{LIMIT, qtop, seeded, started};

/// Modes, and whether anything is left that a shell would trip over.
pub fn assert_restored(terminal: &Terminal, how: &str) {
    // The last bytes may still be on their way through the terminal when the program is gone.
    terminal.wait_for(&format!("the ordinary screen after {how}"), LIMIT, |screen| !screen.alternate_screen());
    terminal.screen(|screen| {
        assert!(!screen.alternate_screen(), "{how}: still on the alternate screen");
        assert!(!screen.hide_cursor(), "{how}: the cursor is hidden");
        assert!(!screen.bracketed_paste(), "{how}: bracketed paste is on");
        assert!(!screen.application_keypad() && !screen.application_cursor(), "{how}: keys are in application mode");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "{how}: the mouse is captured");
    });
    assert_eq!(terminal.settings(), terminal.settings_before(), "{how}: the line settings differ");
}

fn died_of(exit: &Exit, number: u32) -> bool {
    exit.signal.is_some() || exit.code == 128 + number
}

/// A promise of short times is tried so often; a machine that does other things may break it once or twice.
const TIMES: usize = 3;

#[test]
fn u3_q_leaves_a_clean_terminal() {
    let server = seeded();
    let mut terminal = started(&server);
    assert!(terminal.screen(vt100::Screen::alternate_screen));
    assert_ne!(terminal.settings(), terminal.settings_before(), "raw mode is visible in the settings");
    terminal.send("q");
    assert_eq!(terminal.wait_exit(LIMIT).code, 0);
    terminal.wait_for_quiet(Duration::from_millis(50), LIMIT);
    assert_restored(&terminal, "q");
}

#[test]
fn u3_u4_signals_leave_a_clean_terminal_and_are_told() {
    let server = seeded();
    for (name, number) in [("INT", 2), ("TERM", 15), ("HUP", 1), ("QUIT", 3)] {
        let mut terminal = started(&server);
        terminal.signal(name);
        let exit = terminal.wait_exit(LIMIT);
        assert!(died_of(&exit, number), "SIG{name}: {exit:?}");
        terminal.wait_for_quiet(Duration::from_millis(50), LIMIT);
        assert_restored(&terminal, name);
    }
}

#[test]
fn u3_a_signal_right_at_the_start_leaves_a_clean_terminal() {
    let server = seeded();
    for after in [0, 2, 5, 10, 20, 40, 80] {
        let mut terminal = qtop(&server.url()).spawn();
        std::thread::sleep(Duration::from_millis(after));
        terminal.signal("TERM");
        terminal.wait_exit(LIMIT);
        terminal.wait_for_quiet(Duration::from_millis(50), LIMIT);
        assert_restored(&terminal, &format!("SIGTERM after {after} ms"));
    }
}

#[test]
fn q_leaves_within_100_ms_also_without_an_answer_from_redis() {
    let server = seeded();
    let leaving = || {
        let proxy = Proxy::start(server.port());
        let mut terminal = qtop(&proxy.url()).spawn();
        terminal.wait_for_text("mail", LIMIT);
        proxy.blackhole(true);
        std::thread::sleep(Duration::from_millis(1500));
        let start = Instant::now();
        terminal.send("q");
        terminal.wait_exit(LIMIT);
        start.elapsed()
    };
    // Twice the promise, once in a few: other tests run on the same cores.
    let mut times = (0..TIMES).map(|_| leaving());
    assert!(times.any(|took| took < Duration::from_millis(200)), "leaving took longer every time");
}

#[test]
fn u1_a_lost_terminal_ends_it_within_a_second() {
    let server = seeded();
    let times: Vec<(Duration, Duration)> = (0..TIMES).map(|_| lost(&server)).collect();
    let good =
        |(took, used): &(Duration, Duration)| *took < Duration::from_secs(1) && *used < Duration::from_millis(100);
    assert!(times.iter().any(good), "time and processor time: {times:?}");
}

/// How long it goes on without its terminal, and what it uses of the processor meanwhile.
fn lost(server: &TestServer) -> (Duration, Duration) {
    let mut terminal = started(server);
    let before = processor_time(terminal.pid()).expect("it runs");
    let start = Instant::now();
    terminal.hang_up();
    // Nobody has asked how it ended yet, so the kernel still keeps its figures.
    let mut used = before;
    while let Some(time) = processor_time(terminal.pid()).filter(|_| !is_over(terminal.pid())) {
        used = time;
        assert!(start.elapsed() < LIMIT, "it goes on without a terminal");
        std::thread::sleep(Duration::from_millis(2));
    }
    let used = processor_time(terminal.pid()).unwrap_or(used);
    let took = start.elapsed();
    terminal.wait_exit(LIMIT);
    (took, used - before)
}

/// The fields of `/proc/PID/stat` behind the program's name.
fn statistics(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

fn is_over(pid: u32) -> bool {
    statistics(pid).is_none_or(|fields| fields[0] == "Z")
}

/// Processor time a process has used, in the kernel's ticks of 10 ms.
fn processor_time(pid: u32) -> Option<Duration> {
    let fields = statistics(pid)?;
    let ticks: u64 = fields[11..13].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * 10))
}

#[test]
fn u1_a_lost_terminal_ends_it_also_with_sighup_ignored() {
    let server = seeded();
    let program = env!("CARGO_BIN_EXE_qtop");
    let script = format!("trap '' HUP; {program} --url {}; exit 0", server.url());
    let ending = || {
        let mut terminal = Terminal::builder("/bin/sh").args(["-c", &script]).spawn();
        terminal.wait_for_text("mail", LIMIT);
        terminal.hang_up();
        let start = Instant::now();
        terminal.wait_exit(LIMIT);
        start.elapsed()
    };
    let mut times = (0..TIMES).map(|_| ending());
    assert!(times.any(|took| took < Duration::from_secs(1)), "it took longer every time");
}

#[test]
fn u5_suspend_and_resume_also_after_a_resize() {
    let server = seeded();
    let program = env!("CARGO_BIN_EXE_qtop");
    // A shell with job control, as a person has it. `stty` tells what the shell finds.
    let script = format!(
        "set -m; {program} --url {url}; stty -a | grep -o -- ' -*icanon'; echo 'in the shell'; read go; fg; echo 'back again'",
        url = server.url()
    );
    let mut terminal = Terminal::builder("/bin/bash").args(["-c", &script]).spawn();
    terminal.wait_for_text("mail", LIMIT);
    terminal.send("\x1a");
    terminal.wait_for_text("in the shell", LIMIT);
    assert!(terminal.text().contains(" icanon"), "the shell got its line mode back:\n{}", terminal.text());
    assert!(!terminal.screen(vt100::Screen::alternate_screen));
    terminal.resize(100, 30);
    terminal.send("go\r");
    terminal.wait_for("qtop drawn again in the new size", LIMIT, |screen| {
        screen.alternate_screen() && screen.contents().contains("mail") && !screen.contents().contains("in the shell")
    });
    terminal.send("q");
    terminal.wait_for_text("back again", LIMIT);
    terminal.wait_exit(LIMIT);
}

#[test]
fn u5_stop_and_continue_by_signal_redraws() {
    let server = seeded();
    let mut terminal = started(&server);
    terminal.signal("STOP");
    std::thread::sleep(Duration::from_millis(100));
    let before = terminal.bytes_written();
    terminal.resize(90, 25);
    assert!(signal(terminal.pid(), "CONT"));
    terminal.wait_for("a redrawn screen", LIMIT, |screen| screen.contents().contains("mail"));
    qtop_testkit::wait_until("output after SIGCONT", LIMIT, || terminal.bytes_written() > before);
    terminal.send("q");
    assert_eq!(terminal.wait_exit(LIMIT).code, 0);
}
