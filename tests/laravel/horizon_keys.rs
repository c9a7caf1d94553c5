//! A server with what the real Horizon wrote; `horizon.jsonl` says which one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use qtop_testkit::TestServer;

/// When the keys were read.
const READ_AT: i64 = 1_795_323_549;

/// The present unix second.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_secs() as i64
}

/// Puts the keys on a server as if they had been written `age` before `now`. Master and supervisors beat now, and what is
/// reserved or delayed still is.
pub fn load(server: &TestServer, now: i64, age: Duration) {
    let mut client = server.client();
    for line in include_str!("horizon.jsonl").lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<String> = serde_json::from_str(line).expect("a line of the file");
        let key = words[1].clone();
        let lives = ["masters", "supervisors", ":reserved", ":delayed"].iter().any(|end| key.ends_with(end));
        let by = now - READ_AT - if lives { 0 } else { age.as_secs() as i64 };
        let mut command = redis::cmd(&words[0]);
        for word in &words[1..] {
            command.arg(shifted(word, by));
        }
        command.query::<redis::Value>(&mut client).unwrap_or_else(|error| panic!("{key}: {error}"));
    }
}

/// The text with every second of the day it was written on moved.
fn shifted(text: &str, by: i64) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("17953") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let digits = from.bytes().take_while(u8::is_ascii_digit).count();
        match from[..digits].parse::<i64>() {
            Ok(second) if digits == 10 => out.push_str(&(second + by).to_string()),
            _ => out.push_str(&from[..digits]),
        }
        rest = &from[digits..];
    }
    out.push_str(rest);
    out
}
