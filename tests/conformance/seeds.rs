//! What is put on a server for each system, and what must then be seen.

use qtop::domain::described::Described;
use qtop_testkit::TestServer;

/// One system's part in the suite.
pub struct Case {
    /// The system's name.
    pub system: &'static str,
    /// Puts queues on a server.
    pub seed: fn(&TestServer),
    /// Descriptions it needs.
    pub described: fn() -> Described,
    /// Queue, state, exact count; every state that is not named here is not checked.
    pub counts: &'static [(&'static str, &'static str, u64)],
    /// Queue, state and text of a job that a search must find.
    pub search: (&'static str, &'static str, &'static str),
    /// True if workers are seeded that must be seen.
    pub workers: bool,
}

/// One for each registered system.
pub const CASES: &[Case] = &[
    Case {
        system: "bullmq",
        seed: bullmq,
        described: Described::default,
        counts: &[
            ("mail", "waiting", 3),
            ("mail", "prioritized", 1),
            ("mail", "active", 1),
            ("mail", "delayed", 1),
            ("mail", "completed", 1),
            ("mail", "failed", 2),
            ("mail", "waiting-children", 0),
        ],
        search: ("mail", "failed", "smtp"),
        workers: false,
    },
    Case {
        system: "laravel",
        seed: super::laravel::seed,
        described: super::laravel::described,
        counts: super::laravel::COUNTS,
        search: ("default", "pending", "U-2"),
        workers: true,
    },
    Case {
        system: "horizon",
        seed: |server| {
            let now = crate::horizon_keys::now();
            crate::horizon_keys::load(server, now, std::time::Duration::from_secs(60));
        },
        described: Described::default,
        counts: &[
            ("shop", "recent", 15),
            ("shop", "pending", 5),
            ("shop", "completed", 7),
            ("shop", "failed", 2),
            ("shop", "silenced", 1),
            ("shop", "monitored", 0),
            ("shop", "tags", 1),
            ("shop", "metrics", 4),
        ],
        search: ("shop", "failed", "SEND MAIL-2"),
        workers: true,
    },
    Case {
        system: "arq",
        seed: super::arq::seed,
        described: Described::default,
        counts: super::arq::COUNTS,
        search: ("arq:queue", "waiting", "RESIZE"),
        workers: true,
    },
    Case {
        system: "bull",
        seed: bull,
        described: Described::default,
        counts: &[
            ("letters", "waiting", 3),
            ("letters", "active", 1),
            ("letters", "delayed", 1),
            ("letters", "completed", 1),
            ("letters", "failed", 2),
        ],
        search: ("letters", "failed", "smtp"),
        workers: true,
    },
    Case {
        system: "list",
        seed: super::lists::seed,
        described: super::lists::described,
        counts: super::lists::COUNTS,
        search: ("orders", "waiting", "ORDER-7"),
        workers: true,
    },
    Case {
        system: "stream",
        seed: super::streams::seed,
        described: Described::default,
        counts: super::streams::COUNTS,
        search: ("events/workers", "waiting", "SHIPPED"),
        workers: true,
    },
];

/// Runs commands whose words are separated by blanks; `~` stands for a blank inside a word.
pub fn run(server: &TestServer, commands: &str) {
    let mut client = server.client();
    for line in commands.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word.replace('~', " "));
        }
        command.query::<redis::Value>(&mut client).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

/// A queue as Bull 4 leaves it: three wait, the last one with a priority; one runs with a lock.
fn bull(server: &TestServer) {
    let mut commands = String::from("SET bull:letters:id 8\n");
    for id in 1..=8 {
        commands.push_str(&format!(
            "HSET bull:letters:{id} name __default__ data {{\"to\":\"ada\"}} opts {{\"attempts\":3}} \
             timestamp 170000000000{id} delay 0 priority 0\n"
        ));
    }
    commands.push_str(
        "RPUSH bull:letters:wait 2 1 4
         ZADD bull:letters:priority 1 4
         HSET bull:letters:4 priority 1
         LPUSH bull:letters:active 3
         SET bull:letters:3:lock token-1 PX 30000
         HSET bull:letters:3 processedOn 1700000001000 progress 40
         ZADD bull:letters:delayed 8192000000000000 5
         ZADD bull:letters:completed 1700000002000 6
         ZADD bull:letters:failed 1700000003000 7 1700000004000 8
         HSET bull:letters:7 failedReason SMTP~550~mailbox~unavailable attemptsMade 3 finishedOn 1700000003000
         HSET bull:letters:8 failedReason timeout attemptsMade 3 finishedOn 1700000004000
         RPUSH bull:letters:7:logs line",
    );
    run(server, &commands);
}

/// A queue as BullMQ 5 leaves it: three wait, one of them with a record that is gone; one runs with a lock.
fn bullmq(server: &TestServer) {
    let mut commands =
        String::from("HSET bull:mail:meta version bullmq:5.81.5 opts.maxLenEvents 10000\nSET bull:mail:id 9\n");
    for id in 1..=9 {
        commands.push_str(&format!(
            "HSET bull:mail:{id} name welcome data {{\"to\":\"ada\"}} opts {{\"attempts\":3}} timestamp 170000000000{id} \
             delay 0 priority 0\n"
        ));
    }
    commands.push_str(
        "LPUSH bull:mail:wait 1 2 99
         LPUSH bull:mail:active 3
         SET bull:mail:3:lock token-1 PX 30000
         HSET bull:mail:3 processedOn 1700000001000 progress 40 ats 1
         ZADD bull:mail:prioritized 4294967297 4
         ZADD bull:mail:delayed 8192000000000000 5
         ZADD bull:mail:completed 1700000002000 6
         ZADD bull:mail:failed 1700000003000 7 1700000004000 8
         HSET bull:mail:7 failedReason SMTP~550~mailbox~unavailable atm 3 processedOn 1700000002000 finishedOn 1700000003000
         HSET bull:mail:8 failedReason timeout atm 3 processedOn 1700000002000 finishedOn 1700000004000
         RPUSH bull:mail:7:logs line",
    );
    run(server, &commands);
}
