//! A real server with queues of every system, put there with plain commands, each moment so long before or after one
//! second.

use std::time::Duration;

use qtop::domain::described::{ArqQueue, Convention, Described, ListSpec};
use qtop_testkit::TestServer;
use serde_json::{Value, json};

use super::horizon_keys;

/// A list, and the firmware dumps of the shipped recipe.
const LIST: &str = "[[list]]\nname = \"orders\"\nkey = \"app:orders\"\nnext = \"left\"\nitem = \"json\"\n\
                    dead = \"app:orders:dead\"\n\
                    fields = { id = \"id\", name = \"type\", created = \"created\", error = \"error\" }\n";

/// What a person has described on that server.
pub fn described() -> Described {
    #[derive(serde::Deserialize)]
    struct File {
        list: Vec<ListSpec>,
        #[serde(default)]
        arq: Vec<ArqQueue>,
        #[serde(default)]
        convention: Vec<Convention>,
    }
    let recipe = qtop::config::RECIPES.iter().find(|(name, _)| *name == "dumpyarabot-arq").expect("it is shipped").1;
    let read = |text: &str| -> File { toml::from_str(text).expect("tables of descriptions") };
    let (own, mut shipped) = (read(LIST), read(recipe));
    shipped.list.extend(own.list);
    Described { lists: shipped.list, arq: shipped.arq, conventions: shipped.convention, ..Described::default() }
}

/// A value as Python pickles it.
fn pickled(value: &Value) -> Vec<u8> {
    fn put(value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Null => out.push(b'N'),
            Value::Bool(value) => out.push(if *value { 0x88 } else { 0x89 }),
            Value::Number(number) => match number.as_i64() {
                Some(number) => {
                    out.extend([0x8a, 8]);
                    out.extend(number.to_le_bytes());
                }
                None => {
                    out.push(b'G');
                    out.extend(number.as_f64().expect("a float").to_be_bytes());
                }
            },
            Value::String(text) => {
                out.push(b'X');
                out.extend(u32::try_from(text.len()).expect("a short text").to_le_bytes());
                out.extend(text.as_bytes());
            }
            Value::Array(items) => {
                out.push(b'(');
                items.iter().for_each(|item| put(item, out));
                out.push(b't');
            }
            Value::Object(fields) => {
                out.extend(b"}(");
                for (key, value) in fields {
                    put(&key.as_str().into(), out);
                    put(value, out);
                }
                out.push(b'u');
            }
        }
    }
    let mut out = vec![0x80, 4];
    put(value, &mut out);
    out.push(b'.');
    out
}

/// The commands of a seeding, and the second they count from.
struct Seed {
    pipe: redis::Pipeline,
    now: i64,
}

impl Seed {
    /// So many seconds ago, in milliseconds.
    fn ago(&self, seconds: i64) -> i64 {
        (self.now - seconds) * 1_000
    }

    /// A command of words without blanks; `~` stands for one.
    fn run(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        self.pipe.cmd(words.next().expect("a command has a name"));
        for word in words {
            self.pipe.arg(word.replace('~', " "));
        }
    }

    fn set(&mut self, key: &str, value: Vec<u8>) {
        self.pipe.cmd("SET").arg(key).arg(value);
    }

    fn bullmq(&mut self) {
        for (queue, version) in [("mail", "bullmq:5.81.5"), ("encode", "bullmq:6.1.0")] {
            self.run(&format!("HSET bull:{queue}:meta version {version} opts.maxLenEvents 10000"));
            self.run(&format!("SET bull:{queue}:id 48220"));
        }
        let mut job = |queue: &str, id: u32, name: &str, made: i64, more: &str| {
            let made = self.ago(made);
            self.run(&format!(
                "HSET bull:{queue}:{id} name {name} data {{\"to\":\"ada@example.com\",\"template\":7}} \
                 opts {{\"attempts\":3}} timestamp {made} delay 0 priority 0 {more}"
            ));
        };
        for id in 1..=12 {
            job("mail", 48_200 + id, ["welcome", "invoice", "digest"][id as usize % 3], 40 - i64::from(id), "");
        }
        let (taken, soon) = (self.ago(8), self.ago(-90));
        for id in 1..=8 {
            self.run(&format!("LPUSH bull:mail:wait {}", 48_200 + id));
        }
        for (id, percent) in [(48_209, "40"), (48_210, "80")] {
            self.run(&format!("LPUSH bull:mail:active {id}"));
            self.run(&format!("SET bull:mail:{id}:lock {}f1c02d4:3 PX 600000", id % 2 + 5));
            self.run(&format!(
                "HSET bull:mail:{id} processedOn {taken} progress {percent} ats 1 pb web-{}",
                id % 2 + 1
            ));
        }
        self.run(&format!("ZADD bull:mail:delayed {} 48211", soon * 4_096));
        self.run("HSET bull:mail:48211 delay 129000");
        let (began, ended) = (self.ago(184), self.ago(180));
        self.run(&format!("ZADD bull:mail:failed {ended} 48212"));
        self.run(&format!(
            "HSET bull:mail:48212 failedReason SMTP~550~mailbox~unavailable atm 3 processedOn {began} finishedOn {ended}"
        ));
        let (made, taken) = (self.ago(130), self.ago(125));
        let progress = "{\"percentage\":63.5,\"stage\":\"second~pass\"}";
        self.run(&format!(
            "HSET bull:encode:71 name video data {{\"file\":\"talk.mov\"}} opts {{\"attempts\":1}} timestamp {made} \
             delay 0 priority 0 processedOn {taken} ats 1 progress {progress}"
        ));
        self.run("LPUSH bull:encode:active 71");
        self.run("SET bull:encode:71:lock a90be716:4 PX 600000");
    }

    fn bull(&mut self) {
        self.run("SET bull:letters:id 5");
        for id in 1..=5 {
            let made = self.ago(75 - id);
            self.run(&format!(
                "HSET bull:letters:{id} name __default__ data {{\"to\":\"grace\",\"pages\":{id}}} opts {{\"attempts\":3}} \
                 timestamp {made} delay 0 priority 0"
            ));
        }
        let (taken, ended, later) = (self.ago(11), self.ago(65), self.ago(-600));
        self.run("LPUSH bull:letters:wait 1 2");
        self.run("LPUSH bull:letters:active 3");
        self.run("SET bull:letters:3:lock 77d31e20 PX 600000");
        self.run(&format!("HSET bull:letters:3 processedOn {taken} progress 25"));
        self.run(&format!("ZADD bull:letters:delayed {} 4", later * 4_096));
        self.run("HSET bull:letters:4 delay 671000");
        self.run(&format!("ZADD bull:letters:failed {ended} 5"));
        self.run(&format!("HSET bull:letters:5 failedReason printer~on~fire attemptsMade 3 finishedOn {ended}"));
    }

    fn arq(&mut self) {
        let define = |made: i64, function: &str, image: i64| {
            pickled(&json!({"t": null, "f": function, "a": [image, {"width": 640, "format": "webp"}],
                "k": {"notify": "ada@example.com"}, "et": made}))
        };
        for (id, function, made, due) in
            [("7c1e", "resize", 20, 20), ("8d2f", "resize", 15, 15), ("9e3a", "remind", 60, -300)]
        {
            let definition = define(self.ago(made), function, made);
            self.set(&format!("arq:job:{id}"), definition);
            self.run(&format!("ZADD arq:queue {} {id}", self.ago(due)));
        }
        self.run("SET arq:in-progress:7c1e 1 PX 300000");
        self.run("SET arq:retry:7c1e 1");
        let health = "Nov-21~21:04:28~j_complete=5~j_failed=1~j_retried=2~j_ongoing=1~queued=2";
        self.run(&format!("SET arq:queue:health-check {health} EX 3601"));
        let failed = json!({"t": 3, "f": "resize", "a": [12], "k": {}, "et": self.ago(420), "s": false,
            "r": "max 3 retries exceeded", "st": self.ago(410), "ft": self.ago(400), "q": "arq:queue", "id": "5a0b"});
        self.set("arq:result:5a0b", pickled(&failed));
    }

    /// A queue whose application agrees with the shipped recipe about progress, owners and outcomes.
    fn dumps(&mut self) {
        let argument = |id: &str, history: Value, status: &str| {
            json!([{"job_id": id, "dump_args": {"url": "https://example.com/firmware.zip", "use_alt_dumper": false},
                "metadata": {"status": status, "progress_history": history}}])
        };
        for (id, made) in [("dump-77", 725), ("dump-78", 300)] {
            let definition = json!({"t": null, "f": "process_firmware_dump", "k": {}, "et": self.ago(made),
                "a": argument(id, json!([]), "running")});
            self.set(&format!("arq:job:{id}"), pickled(&definition));
            self.run(&format!("ZADD dumpyarabot:arq_jobs {} {id}", self.ago(made)));
        }
        self.run("SET arq:in-progress:dump-77 1 PX 7000000");
        self.run("SET arq:retry:dump-77 1 EX 88400");
        self.run("SET dumpyarabot:running_job:dump-77 {\"worker_id\":\"arq@1a2b\",\"pid\":4242}");
        let status = format!("v1\n60\n{}\n*Extracting partitions*\n██████░░░ 60% (Step 15/25)", self.now - 4);
        self.set("dumpyarabot:job_status_text:dump-77", status.into_bytes());
        let history = json!([{"message": "Extracting partitions", "percentage": 24.0, "current_step_number": 6,
            "total_steps": 25}]);
        let result = json!({"t": 1, "f": "process_firmware_dump", "k": {}, "et": self.ago(5_000), "s": true,
            "a": argument("dump-70", history.clone(), "failed"), "st": self.ago(4_990), "ft": self.ago(3_965),
            "r": {"success": false, "error": "no space left on device",
                "metadata": {"status": "failed", "progress_history": history}},
            "q": "dumpyarabot:arq_jobs", "id": "dump-70"});
        self.set("arq:result:dump-70", pickled(&result));
        let health = "Nov-22~02:04:28~j_complete=2~j_failed=0~j_retried=0~j_ongoing=1~queued=2";
        self.run(&format!("SET dumpyarabot:arq_jobs:health-check {health} EX 3601"));
    }

    fn list(&mut self) {
        for n in 1..=4 {
            let made = self.now - 30 + n;
            self.run(&format!("RPUSH app:orders {{\"id\":\"o-{n}\",\"type\":\"ship\",\"created\":{made}}}"));
        }
        self.run("RPUSH app:orders:dead {\"id\":\"o-0\",\"type\":\"ship\",\"error\":\"HTTP~502~from~the~carrier\"}");
    }

    fn stream(&mut self) {
        for n in 1..=5 {
            self.run(&format!("XADD events {}-0 type shipped order o-{n}", self.ago(60 - n)));
        }
        self.run("XGROUP CREATE events workers 0");
        self.run("XREADGROUP GROUP workers c1 COUNT 2 STREAMS events >");
        let (since, first, second) = (self.ago(40), self.ago(59), self.ago(58));
        self.run(&format!("XCLAIM events workers c1 0 {first}-0 {second}-0 TIME {since} RETRYCOUNT 2"));
    }
}

/// Puts everything there; the second it counts from is given.
pub fn seeded(server: &TestServer) -> i64 {
    let mut seed = Seed { pipe: redis::pipe(), now: horizon_keys::now() };
    seed.bullmq();
    seed.bull();
    seed.arq();
    seed.dumps();
    seed.list();
    seed.stream();
    seed.pipe.query::<redis::Value>(&mut server.client()).expect("the server takes them");
    horizon_keys::load(server, seed.now, Duration::from_secs(60));
    // Its master and supervisors beat until the test is over.
    let beat = seed.now + 600;
    server.run(&format!("ZADD shop_horizon:masters XX {beat} web-1-5rtB"));
    let (one, two) = ("web-1-5rtB:supervisor-1", "web-1-5rtB:supervisor-2");
    server.run(&format!("ZADD shop_horizon:supervisors XX {beat} {one} {beat} {two}"));
    seed.now
}
