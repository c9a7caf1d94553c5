//! Leaving the screens while jobs run behind them (U2, R4): what was chosen happens, and no job runs twice or is lost.

use std::fs;
use std::time::{Duration, Instant};

use qtop_testkit::{TestServer, alive, repeated, signal, wait_until};

use super::LIMIT;
use super::running::{Home, fill, held};

#[test]
fn u2_ctrl_z_offers_the_background_and_jobs_go_on_there() {
    let server = TestServer::start();
    fill(&server, 0..8);
    let home = Home::new(&server, "sleep 1", 2, "");
    let mut terminal = home.in_shell();
    home.until_ran(2);
    terminal.wait_for_text("2/2 slots", LIMIT);
    terminal.send("\x1a");
    terminal.wait_for_text("b go on", LIMIT);
    terminal.send("b");
    terminal.wait_for_text("in the shell", LIMIT);
    assert!(!terminal.screen(vt100::Screen::alternate_screen), "the shell has its screen");
    assert!(terminal.text().contains("jobs go on in the background"), "{}", terminal.text());
    // Longer than a claim holds without renewal, and nobody but this runner takes jobs.
    home.until_ran(8);
    wait_until("all jobs to be settled", LIMIT, || held(&server) == 0);
    terminal.send("go\r");
    terminal.wait_for("the screens again", LIMIT, |screen| {
        screen.alternate_screen() && screen.contents().contains("0/2 slots")
    });
    home.assert_once(8);
    terminal.send("q");
    terminal.wait_for_text("back again", LIMIT);
    assert!(terminal.text().contains("8 done"), "the last line tells what happened:\n{}", terminal.text());
}

#[test]
fn u2_ctrl_z_offers_to_drain_and_stops_only_then() {
    let server = TestServer::start();
    fill(&server, 0..6);
    let home = Home::new(&server, "sleep 2", 2, "");
    let mut terminal = home.in_shell();
    home.until_ran(2);
    terminal.wait_for_text("2/2 slots", LIMIT);
    terminal.send("\x1a");
    terminal.wait_for_text("d drain", LIMIT);
    terminal.send("d");
    terminal.wait_for_text("in the shell", LIMIT);
    assert_eq!((held(&server), server.int("LLEN mail")), (0, 4), "nothing is held while it is stopped");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(home.ran().len(), 2, "a stopped runner takes nothing");
    terminal.send("go\r");
    home.until_ran(6);
    wait_until("all jobs to be settled", LIMIT, || held(&server) == 0);
    home.assert_once(6);
}

#[test]
fn u2_ctrl_z_offers_to_put_jobs_back() {
    let server = TestServer::start();
    fill(&server, 0..3);
    let home = Home::new(&server, "exec sleep 600", 2, "");
    let mut terminal = home.in_shell();
    home.until_ran(2);
    terminal.wait_for_text("2/2 slots", LIMIT);
    terminal.send("\x1a");
    terminal.wait_for_text("r put back", LIMIT);
    terminal.send("r");
    terminal.wait_for_text("in the shell", LIMIT);
    assert_eq!((held(&server), server.int("LLEN mail")), (0, 3));
}

#[test]
fn u2_whoever_stays_stays_and_an_idle_runner_needs_no_question() {
    let server = TestServer::start();
    fill(&server, 0..2);
    let home = Home::new(&server, "sleep 2", 2, "");
    let mut terminal = home.in_shell();
    home.until_ran(2);
    terminal.wait_for_text("2/2 slots", LIMIT);
    terminal.send("\x1a");
    terminal.wait_for_text("[ Stay ]", LIMIT);
    terminal.send("\r");
    wait_until("both jobs to be settled", LIMIT, || held(&server) == 0);
    assert!(terminal.screen(vt100::Screen::alternate_screen), "it stayed");
    terminal.wait_for("no running job on the screen", LIMIT, |screen| screen.contents().contains("0/2 slots"));
    terminal.send("\x1a");
    terminal.wait_for_text("in the shell", LIMIT);
    // A job that comes now must not be taken by what is stopped.
    fill(&server, 2..4);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((held(&server), server.int("LLEN mail")), (0, 2));
    terminal.send("go\r");
    home.until_ran(4);
    home.assert_once(4);
}

/// Whatever is chosen, no job runs twice: at moments left to chance, with jobs that run longer than a claim holds without
/// being renewed.
#[test]
fn u2_no_way_to_stop_runs_a_job_twice() {
    const AT_ONCE: usize = 4;
    let runs = repeated(4, 100);
    std::thread::scope(|scope| {
        for first in 0..AT_ONCE {
            scope.spawn(move || (first..runs).step_by(AT_ONCE).for_each(stop_and_go_on));
        }
    });
    println!("{runs} runs, each job once");
}

fn stop_and_go_on(run: usize) {
    let server = TestServer::start();
    fill(&server, 0..3);
    let home = Home::new(&server, "sleep 2.5", 2, "");
    let mut terminal = home.in_shell();
    home.until_ran(1);
    std::thread::sleep(Duration::from_millis(fastrand::u64(0..1_500)));
    terminal.send("\x1a");
    terminal.wait_for_text("[ Stay ]", LIMIT);
    match run % 3 {
        0 => {
            terminal.send("d");
            terminal.wait_for_text("in the shell", LIMIT);
            assert_eq!(held(&server), 0, "nothing is held while it is stopped");
            terminal.send("go\r");
        }
        1 => {
            terminal.send("b");
            terminal.wait_for_text("in the shell", LIMIT);
            std::thread::sleep(Duration::from_millis(fastrand::u64(0..3_000)));
            terminal.send("go\r");
        }
        _ => terminal.send("\r"),
    }
    home.until_ran(3);
    wait_until("all jobs to be settled", LIMIT, || held(&server) == 0);
    home.assert_once(3);
}

#[test]
fn u2_q_offers_the_background_too_and_the_runner_ends_by_signal() {
    let server = TestServer::start();
    fill(&server, 0..6);
    let home = Home::new(&server, "sleep 1", 2, "");
    let mut terminal = home.alone();
    home.until_ran(2);
    terminal.wait_for_text("2/2 slots", LIMIT);
    terminal.send("q");
    terminal.wait_for_text("b go on", LIMIT);
    terminal.send("b");
    let exit = terminal.wait_exit(LIMIT);
    assert_eq!(exit.code, 0);
    terminal.wait_for_quiet(Duration::from_millis(50), LIMIT);
    super::ending::assert_restored(&terminal, "q and b");
    let text = terminal.text().replace('\n', "");
    let pid = text.split("(process ").nth(1).and_then(|rest| rest.split(')').next()).map(str::trim);
    let pid: u32 = pid.and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("no process is named: {text}"));
    let words = terminal.home().join(".local/state/qtop/background.log");
    terminal.hang_up();
    home.until_ran(6);
    wait_until("all jobs to be settled", LIMIT, || held(&server) == 0);
    home.assert_once(6);
    assert!(alive(pid), "it waits for more");
    let log = || {
        let files = fs::read_dir(words.parent().expect("its folder")).expect("the state folder").flatten();
        let days = files.filter(|file| file.file_name().to_string_lossy().starts_with("qtop."));
        days.map(|day| fs::read_to_string(day.path()).expect("a log")).collect::<String>()
    };
    let before = log();
    server.run("CLIENT KILL TYPE normal SKIPME yes");
    wait_until("its log to tell of the lost connection", LIMIT, || log().len() > before.len());
    assert!(signal(pid, "TERM"));
    wait_until("its end", LIMIT, || !alive(pid));
    let said = fs::read_to_string(&words).expect("what it said");
    assert!(said.lines().last().is_some_and(|line| line.contains("6 done")), "{said}");
}

#[test]
fn u2_q_offers_to_wait_and_to_put_back() {
    let server = TestServer::start();
    for (key, code, done, left) in [("d", 0, 2, 2), ("r", 3, 0, 4)] {
        server.run("FLUSHALL");
        fill(&server, 0..4);
        let home = Home::new(&server, "sleep 2", 2, "");
        let mut terminal = home.alone();
        home.until_ran(2);
        terminal.wait_for_text("2/2 slots", LIMIT);
        terminal.send("q");
        terminal.wait_for_text("[ Stay ]", LIMIT);
        terminal.send(key);
        assert_eq!(terminal.wait_exit(LIMIT).code, code, "{key}: {}", terminal.text());
        assert_eq!((held(&server), server.int("LLEN mail")), (0, left), "{key}");
        terminal.wait_for_text(&format!("{done} done"), LIMIT);
    }
}

#[test]
fn u2_q_and_d_wait_longer_than_the_grace_time_unless_a_signal_asks_for_it() {
    let server = TestServer::start();
    for (script, interrupt, code, done, left) in [("sleep 4", false, 0, 2, 1), ("exec sleep 600", true, 3, 0, 3)] {
        server.run("FLUSHALL");
        fill(&server, 0..3);
        let home = Home::new(&server, script, 2, "");
        let text = fs::read_to_string(home.config()).expect("the configuration");
        fs::write(home.config(), text.replace("grace = \"20s\"", "grace = \"1s\"")).expect("a file");
        let mut terminal = home.alone();
        home.until_ran(2);
        terminal.wait_for_text("2/2 slots", LIMIT);
        terminal.send("q");
        terminal.wait_for_text("d drain", LIMIT);
        terminal.send("d");
        terminal.wait_for_text("waiting for 2 jobs to end", LIMIT);
        if interrupt {
            std::thread::sleep(Duration::from_secs(2));
            terminal.send("\x03");
        }
        assert_eq!(terminal.wait_exit(LIMIT).code, code, "{script}: {}", terminal.text());
        assert_eq!((held(&server), server.int("LLEN mail")), (0, left), "{script}");
        terminal.wait_for_text(&format!("{done} done"), LIMIT);
    }
}

#[test]
fn u1_u2_a_closed_terminal_drains_as_the_configuration_says() {
    let server = TestServer::start();
    for (hangup, left) in [("drain", 2), ("return", 4), ("background", 0)] {
        server.run("FLUSHALL");
        fill(&server, 0..4);
        let home = Home::new(&server, "sleep 2", 2, &format!("hangup = \"{hangup}\""));
        let mut terminal = home.alone();
        home.until_ran(2);
        terminal.hang_up();
        if hangup == "background" {
            assert_eq!(terminal.wait_exit(LIMIT).code, 0, "the shell's process ends");
            home.until_ran(4);
            wait_until("all jobs to be settled", LIMIT, || held(&server) == 0);
            let runners: Vec<String> = redis::from_redis_value(server.run("KEYS qtop:runner:*")).expect("keys");
            let sign: String = redis::from_redis_value(server.run(&format!("GET {}", runners[0]))).expect("a sign");
            let sign: serde_json::Value = serde_json::from_str(&sign).expect("JSON");
            signal(sign["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a process id"), "TERM");
            wait_until("its end", LIMIT, || server.int("EXISTS mail:processing:none") == 0);
        } else {
            // The kernel says it to both processes, and the one in front passes it on: that must not cut anything.
            terminal.wait_exit(LIMIT);
        }
        assert_eq!((held(&server), server.int("LLEN mail")), (0, left), "{hangup}");
        assert!(home.ran().values().all(|times| *times == 1), "{hangup}: {:?}", home.ran());
    }
}

#[test]
fn r4_a_frozen_terminal_does_not_stop_the_renewal_of_claims() {
    let server = TestServer::start();
    fill(&server, 0..6);
    let home =
        Home::new(&server, "i=0; while [ $i -lt 40 ]; do echo line $i of output; i=$((i+1)); sleep 0.2; done", 3, "");
    let mut terminal = home.alone();
    home.until_ran(3);
    // Another runner that would take over whatever is not renewed for the 2 s of a lease.
    let other = Home::new(&server, "true", 1, "");
    terminal.pause_reading(true);
    let frozen = Instant::now();
    let mut reaper = std::process::Command::new(env!("CARGO_BIN_EXE_qtop"))
        .args(["run", "--config"])
        .arg(other.config())
        .env("HOME", other.path())
        .env("XDG_STATE_HOME", other.path().join("state"))
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("another runner");
    while frozen.elapsed() < Duration::from_secs(12) {
        // What is drawn anew fills the terminal's buffer, so that writing to it blocks for good.
        terminal.send("\x0c");
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = terminal.bytes_written();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(terminal.bytes_written(), before, "the terminal was frozen");
    wait_until("all jobs to be settled", LIMIT, || held(&server) == 0 && server.int("LLEN mail") == 0);
    terminal.pause_reading(false);
    let mut ran = home.ran();
    other.ran().into_iter().for_each(|(id, times)| *ran.entry(id).or_insert(0) += times);
    assert!(ran.len() == 6 && ran.values().all(|times| *times == 1), "each once: {ran:?}");
    assert!(home.ran().len() >= 3, "those that ran when it froze ended here");
    signal(reaper.id(), "TERM");
    reaper.wait().expect("an end");
}

#[test]
fn a_killed_qtop_leaves_a_clean_terminal_if_it_had_a_runner() {
    let server = TestServer::start();
    let home = Home::new(&server, "true", 1, "");
    let mut terminal = home.alone();
    let behind = children(terminal.pid());
    assert_eq!(behind.len(), 1, "{behind:?}");
    assert!(signal(behind[0], "KILL"));
    assert_eq!(terminal.wait_exit(LIMIT).code, 137);
    terminal.wait_for_quiet(Duration::from_millis(50), LIMIT);
    super::ending::assert_restored(&terminal, "SIGKILL of the process behind");
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}
