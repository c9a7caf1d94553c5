//! S1: whatever is typed, no write command leaves in read-only mode. The table is made from the program's own list of
//! commands, so that a new one cannot be forgotten.

use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, Command};
use qtop_testkit::{Proxy, TestServer};

use crate::command_line::Shell;
use crate::scenes::{LIST, bullmq, list_seed, others_seed, stream_seed};

/// No command line of this table may take longer.
const LIMIT: Duration = Duration::from_secs(60);

/// A small generator of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }
}

/// Every command that does something, with the words that lead to it.
fn leaves(command: &Command, path: &[String], found: &mut Vec<(Vec<String>, Command)>) {
    let below: Vec<&Command> = command.get_subcommands().filter(|below| below.get_name() != "help").collect();
    if below.is_empty() {
        found.push((path.to_vec(), command.clone()));
    }
    for one in below {
        let path: Vec<String> = path.iter().cloned().chain([one.get_name().to_owned()]).collect();
        leaves(one, &path, found);
    }
}

/// Words that make sense for an argument, and some that do not.
fn words(argument: &Arg, dice: &mut Dice, file: &str) -> String {
    let name = argument.get_id().as_str();
    let pick = |dice: &mut Dice, words: &[&str]| words[dice.below(words.len())].to_owned();
    if let [first, ..] = argument.get_possible_values().as_slice() {
        return first.get_name().to_owned();
    }
    match name {
        "queue" => pick(
            dice,
            &[
                "mail",
                "bullmq@bull:mail",
                "list:audio",
                "stream:events/g",
                "bull:old",
                "arq:arq:queue",
                "laravel:shop",
                "nobody",
            ],
        ),
        "ids" | "id" => {
            pick(dice, &["f1", "w1", "d1", "x1", "1700000000001-0", "tick", "1", "2", "j1", "j2", "u1", "nobody"])
        }
        "state" => pick(dice, &["failed", "waiting", "delayed", "dead", "pending", "nonsense"]),
        "data" | "file" => file.to_owned(),
        "output" => format!("{file}.{}", dice.below(1_000_000)),
        "by" | "older_than" | "per" | "delay" | "min_idle" | "rates" | "max_age" => pick(dice, &["0", "1ms", "10m"]),
        "confirm" => "mail".to_owned(),
        _ => pick(dice, &["1", "3", "c2", "mail", "x"]),
    }
}

/// One way to write a command: what it must have, and some of what it may have.
fn form(path: &[String], command: &Command, dice: &mut Dice, file: &str) -> Vec<String> {
    let mut line: Vec<String> = path.to_vec();
    let mut free = Vec::new();
    for argument in command.get_arguments().filter(|argument| !argument.is_global_set()) {
        if matches!(
            argument.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        ) {
            continue;
        }
        let wanted = argument.is_required_set() || argument.is_positional() || dice.below(3) == 0;
        if argument.is_positional() {
            free.push(words(argument, dice, file));
        } else if wanted && let Some(long) = argument.get_long() {
            line.push(format!("--{long}"));
            if argument.get_action().takes_values() {
                line.push(words(argument, dice, file));
            }
        }
    }
    // Most forms shall come as far as the change itself.
    if command.get_arguments().any(|argument| argument.get_id() == "yes") && !line.contains(&"--yes".to_owned()) {
        line.push("--yes".to_owned());
    }
    line.extend(free);
    line
}

#[test]
fn s1_no_write_command_leaves_in_read_only_mode_whatever_is_typed() {
    let server = TestServer::start();
    bullmq(&server, "6.7.0");
    list_seed(&server);
    stream_seed(&server);
    others_seed(&server);
    let proxy = Proxy::start(server.port());
    let shell = Shell::at(&proxy.url());
    let config = shell.home.path().join("qtop.toml");
    std::fs::write(&config, format!("[[list]]\n{}", LIST.replace("[[heartbeat]]", "[[list.heartbeat]]"))).unwrap();
    let file = shell.home.path().join("jobs.ndjson");
    let job = r#"{"id":"new","queue":"bullmq@bull:mail","name":"n","run_at":null,"priority":null,"attempts_max":null,"payload":{},"payload_encoding":"json","payload_cut":false}"#;
    std::fs::write(&file, job).unwrap();
    let before = server.digest();
    let mut all = Vec::new();
    leaves(&qtop::cli::command(), &[], &mut all);
    let names: Vec<String> = all.iter().map(|(path, _)| path.join(" ")).collect();
    for known in ["retry", "import", "trash restore", "obliterate", "queues", "signal", "continue", "undo"] {
        assert!(names.iter().any(|name| name == known), "{known} is missing in {names:?}");
    }
    let mut dice = Dice(7);
    let mut runs = 0;
    for (path, command) in &all {
        // These open a server of their own, or none.
        let changes = command.get_arguments().any(|argument| argument.get_id() == "yes") && path[0] != "demo";
        for _ in 0..if changes { 8 } else { 2 } {
            let line = form(path, command, &mut dice, file.to_str().unwrap());
            let mut arguments = vec!["--config", config.to_str().unwrap(), "--read-only", "--timeout", "5s"];
            arguments.extend(line.iter().map(String::as_str));
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_qtop"));
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
            command.env("HOME", shell.home.path()).env("EDITOR", "true");
            command.args(["--url", &proxy.url()]).args(&arguments);
            let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            let begun = Instant::now();
            while child.try_wait().unwrap().is_none() {
                if begun.elapsed() > LIMIT {
                    child.kill().unwrap();
                    panic!("{line:?} had not ended after {LIMIT:?}");
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            let output = child.wait_with_output().unwrap();
            let code = output.status.code();
            assert!(matches!(code, Some(0..=3)), "{line:?}: {code:?} {}", String::from_utf8_lossy(&output.stderr));
            runs += 1;
        }
    }
    println!("{runs} command lines of {} commands", all.len());
    assert_eq!(server.digest(), before);
    let writes: Vec<String> = proxy
        .sent()
        .iter()
        .filter(|sent| {
            let word: Vec<&[u8]> = sent.words.iter().map(Vec::as_slice).collect();
            let known = qtop::link::COMMANDS.iter().find(|spec| {
                spec.name == sent.name
                    && spec
                        .subcommand
                        .is_none_or(|sub| word.get(1).is_some_and(|word| sub.as_bytes().eq_ignore_ascii_case(word)))
            });
            known.is_none_or(|spec| spec.access == qtop::link::Access::Write)
        })
        .map(|sent| sent.text())
        .collect();
    assert_eq!(writes, Vec::<String>::new());
}
