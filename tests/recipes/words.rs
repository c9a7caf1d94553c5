//! Every word of the conventions, each on keys made for it, and what is said of mistakes.

use qtop_testkit::TestServer;
use serde_json::json;

use crate::shell::{Shell, fact};

/// A queue of BullMQ with running jobs `1` and `2` and a completed one, `3`.
fn busy() -> TestServer {
    let server = TestServer::start();
    server.run("HSET bull:mail:meta version bullmq:5.70.0 opts.maxLenEvents 10000");
    server.run("SET bull:mail:id 3");
    for id in ["1", "2", "3"] {
        server.run(&format!("HSET bull:mail:{id} name send data {{\"to\":{id}}} opts {{}} timestamp 1700000000000"));
    }
    server.run("LPUSH bull:mail:active 1 2");
    server.run("HSET bull:mail:3 finishedOn 1700000000000");
    server.run("ZADD bull:mail:completed 1700000000000 3");
    server
}

fn convention(words: &str) -> String {
    format!("[[convention]]\nname = \"app\"\nqueues = \"bullmq:mail\"\n{words}\n")
}

fn set(server: &TestServer, key: &str, field: Option<&str>, value: &str) {
    let mut command = redis::cmd(if field.is_some() { "HSET" } else { "SET" });
    command.arg(key).arg(field).arg(value);
    let _: redis::Value = command.query(&mut server.client()).unwrap();
}

#[test]
fn progress_stands_in_a_hash_a_document_a_text_a_number_or_the_payload() {
    for (kind, value, words) in [
        ("hash", "", "key = \"p:{id}\", step = \"at\", total = \"of\", text = \"said.now\""),
        (
            "json",
            r#"{"done":{"at":3,"of":12},"now":"reading"}"#,
            "key = \"p:{id}\", step = \"done.at\", total = \"done.of\", text = \"now\"",
        ),
        (
            "json",
            r#"{'done': [3, 12], 'now': 'reading'}"#,
            "key = \"p:{id}\", step = \"done.0\", total = \"done.-1\", text = \"now\"",
        ),
        (
            "text",
            "step 3 of 12: reading",
            "key = \"p:{id}\", pattern = 'step (?<step>[0-9]+) of (?<total>[0-9]+): (?<text>.*)'",
        ),
        ("percent", "25 %", "key = \"p:{id}\""),
    ] {
        let server = busy();
        if kind == "hash" {
            for (field, value) in [("at", "3"), ("of", "12"), ("said", r#"{"now":"reading"}"#)] {
                set(&server, "p:1", Some(field), value);
            }
        } else {
            set(&server, "p:1", None, value);
        }
        let shell = Shell::with(&server, &convention(&format!("progress = [{{ kind = \"{kind}\", {words} }}]")));
        let rows = shell.jobs("mail", "active");
        let row = rows.iter().find(|row| row["id"] == "1").unwrap();
        assert_eq!(row["progress"]["percent"], 25.0, "{kind}: {row}");
        if kind != "percent" {
            assert_eq!((&row["progress"]["step"], &row["progress"]["text"]), (&json!(3), &json!("reading")), "{kind}");
        }
    }
}

#[test]
fn heartbeats_count_as_workers_wherever_workers_are_counted() {
    let server = busy();
    for (worker, job) in [("a", "1"), ("b", "2"), ("c", "")] {
        set(&server, &format!("app:worker:{worker}"), None, &format!(r#"{{"job":"{job}","pid":7}}"#));
        server.run(&format!("EXPIRE app:worker:{worker} 25"));
    }
    let words = "expected_workers = 4\nheartbeat = [{ pattern = \"app:worker:*\", kind = \"json\", item = \"job\", pid = \"pid\", ttl = 30 }]";
    let shell = Shell::with(&server, &convention(words));
    let queue = shell.queue("mail");
    assert_eq!(queue["workers"], 3, "{queue}");
    assert!(queue.to_string().contains("3 of 4 expected workers give a sign of life"), "{queue}");
    assert_eq!(shell.text(&["health", "--min-workers", "3", "--queue", "mail"]).0, 1, "one is missing: a warning");
    assert_eq!(shell.text(&["health", "--min-workers", "4", "--queue", "mail"]).0, 2);
    let workers = shell.json(&["workers", "--json"]);
    let told = workers["workers"].as_array().unwrap().iter().find(|worker| worker["name"] == "b").cloned();
    assert_eq!(told.as_ref().map(|worker| &worker["pid"]), Some(&json!(7)), "{workers}");
    // One that gives none any more is missed at the next look; of keys that are not renewed nothing follows.
    server.run("DEL app:worker:c");
    assert_eq!(shell.queue("mail")["workers"], 2);
    let words = "heartbeat = [{ pattern = \"app:worker:*\", kind = \"json\", renewed = false }]";
    let seen = Shell::with(&server, &convention(words)).queue("mail");
    assert!(seen["workers"].is_null(), "absence is no death here: {seen}");
}

#[test]
fn an_absent_owner_means_what_its_convention_says() {
    let server = busy();
    set(&server, "own:1", Some("who"), "w-9");
    let words = |absent: &str| {
        convention(&format!(
            "owner = {{ key = \"own:{{id}}\", kind = \"hash\", worker = \"who\", absent = \"{absent}\" }}"
        ))
    };
    for (absent, told) in [("lost", "none: nobody works on it any more"), ("unknown", "no record")] {
        let shell = Shell::with(&server, &words(absent));
        assert_eq!(fact(&shell.json(&["job", "mail", "1", "--json"]), "owner"), Some("w-9"));
        assert_eq!(fact(&shell.json(&["job", "mail", "2", "--json"]), "owner"), Some(told));
    }
}

#[test]
fn results_mean_what_their_words_say_in_any_decoder() {
    let server = busy();
    // {"state": "broken", "why": "disk full"} as a Python text in base64, inside a JSON result.
    let result = r#"{"packed":"eydzdGF0ZSc6ICdicm9rZW4nLCAnd2h5JzogJ2Rpc2sgZnVsbCd9"}"#;
    set(&server, "bull:mail:3", Some("returnvalue"), result);
    let words = "outcome = [{ path = \"packed|base64|python.state\", means = { broken = \"failed\" }, error = \"packed|base64|python.why\" }]";
    let row = Shell::with(&server, &convention(words)).jobs("mail", "completed").remove(0);
    assert_eq!((&row["kind"], &row["error"]), (&json!("failed"), &json!("disk full")), "{row}");
    let json = words.replace("python", "json");
    let row = Shell::with(&server, &convention(&json)).jobs("mail", "completed").remove(0);
    assert_eq!(row["kind"], "completed", "it is no JSON: {row}");
}

#[test]
fn dead_letters_lie_in_a_list_of_documents_or_in_a_sorted_set() {
    for (kind, put) in [("list", "LPUSH"), ("zset", "ZADD")] {
        let server = TestServer::start();
        let letter = r#"{"id":"d-1","why":"no route","tries":3}"#;
        let mut command = redis::cmd(put);
        command.arg("app:dead");
        if kind == "zset" {
            command.arg(1_700_000_000);
        }
        let _: i64 = command.arg(letter).query(&mut server.client()).unwrap();
        let config = format!(
            "[[list]]\nname = \"work\"\nkey = \"app:work\"\nfields = {{ id = \"id\", error = \"why\", attempts = \"tries\" }}\n\
             dead = {{ key = \"app:dead\", kind = \"{kind}\" }}\n"
        );
        let shell = Shell::with(&server, &config);
        let row = shell.jobs("work", "dead").remove(0);
        assert_eq!((&row["id"], &row["error"], &row["attempts_made"]), (&json!("d-1"), &json!("no route"), &json!(3)));
        let before = server.digest();
        let done = shell.json(&["remove", "work", "d-1", "--yes", "--json"]);
        assert_eq!(done["done"], 1, "{kind}: {done}");
        shell.json(&["undo", "--yes", "--json"]);
        assert_eq!(server.digest(), before, "{kind}");
        let done = shell.json(&["requeue", "work", "d-1", "--yes", "--json"]);
        assert_eq!(done["done"], 1, "{kind}: {done}");
        let waiting: String = redis::cmd("LINDEX").arg("app:work").arg(0).query(&mut server.client()).unwrap();
        assert_eq!(waiting, letter);
    }
}

#[test]
fn what_a_removal_takes_out_of_shared_keys_comes_back() {
    let server = TestServer::start();
    server.run("RPUSH app:dead x y x z");
    server.run("SADD app:known x y");
    server.run("ZADD app:times 5 x 6 y");
    server.run("HSET app:errors x boom y bang");
    server.run("SET app:job:x {\"state\":\"dead\",\"n\":1}");
    let config = r#"
[[list]]
name = "dead"
dead = { key = "app:dead", item = "id" }
[[convention]]
name = "dead"
queues = "list:dead"
[[convention.change]]
verb = "remove"
states = ["dead"]
guard = ["LREM", "app:dead", "0", "{id}"]
commands = [["SREM", "app:known", "{id}"], ["ZREM", "app:times", "{id}"], ["HDEL", "app:errors", "{id}"]]
edit = [{ key = "app:job:{id}", path = "state", to = '"removed"' }]
"#;
    let shell = Shell::with(&server, config);
    let before = server.digest();
    let done = shell.json(&["remove", "dead", "x", "--yes", "--json"]);
    assert_eq!(done["done"], 1, "{done}");
    assert_eq!((server.int("LLEN app:dead"), server.int("SCARD app:known"), server.int("HLEN app:errors")), (2, 1, 1));
    shell.json(&["undo", "--yes", "--json"]);
    assert_eq!(server.digest(), before);
}

#[test]
fn a_mistake_is_told_with_its_place_what_was_expected_and_the_nearest_name() {
    let server = TestServer::start();
    for (words, place, parts) in [
        ("outcom = []", "4:1", &["did you mean `outcome`?"][..]),
        ("expected_workers = -1", "4:20", &["expected a whole number, 0 or more"]),
        ("outcome = [{ path = \"a|pyton.b\", means = { x = \"failed\" } }]", "4:21", &["did you mean |python?"]),
        (
            "outcome = [{ path = \"a\", means = { x = \"fialed\" } }]",
            "4:40",
            &["expected \"completed\"", "did you mean \"failed\"?"],
        ),
        ("progress = [{ kind = \"hsh\", key = \"a:{id}\" }]", "4:22", &["expected \"hash\"", "did you mean \"hash\"?"]),
        (
            "progress = [{ kind = \"text\", key = \"a:{id}\", pattern = '(?<persent>.)' }]",
            "4:56",
            &["did you mean percent?"],
        ),
        ("owner = { key = \"o:{idd}\", worker = \"w\" }", "4:17", &["did you mean {id}?"]),
        ("cancel_flag = { key = \"c:{id}\", states = [\"actve\"] }", "4:43", &["did you mean \"active\"?"]),
        ("heartbeat = [{ pattern = \"*\" }]", "4:26", &["must begin with fixed text"]),
        ("[[convention.change]]\nverb = \"requeu\"\nstates = [\"failed\"]", "5:8", &["did you mean \"requeue\"?"]),
        (
            "[[convention.change]]\nverb = \"remove\"\nstates = [\"failed\"]\ncommands = [[\"DEL\"]]",
            "7:13",
            &["DEL needs a key"],
        ),
        (
            "[[convention.change]]\nverb = \"remove\"\nstates = [\"failed\"]\nguard = [\"LRM\", \"x\", \"0\", \"{id}\"]",
            "7:10",
            &["did you mean LREM?"],
        ),
    ] {
        let (code, said) = Shell::with(&server, &convention(words)).text(&["config", "check"]);
        assert_eq!(code, 2, "{words}: {said}");
        assert!(said.contains(&format!("qtop.toml:{place}\n")), "{words}: {place} is not in:\n{said}");
        for part in parts {
            assert!(said.contains(part), "{words}: {part} is not in:\n{said}");
        }
    }
}
