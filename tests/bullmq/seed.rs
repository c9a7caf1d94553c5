//! Keys as BullMQ 6 writes them, without the library.

use redis::Connection;

/// Writes queues by raw commands.
pub struct Seed {
    connection: Connection,
    base: String,
}

impl Seed {
    /// A queue `bull:NAME` with its settings and events.
    pub fn queue(connection: Connection, name: &str) -> Self {
        let mut seed = Self { connection, base: format!("bull:{name}") };
        seed.run(&["HSET", "meta", "version", "bullmq:6.7.0", "opts.maxLenEvents", "10000"]);
        seed.run(&["XADD", "events", "*", "event", "added", "jobId", "1"]);
        seed
    }

    /// The key of this suffix.
    pub fn key(&self, suffix: &str) -> String {
        format!("{}:{suffix}", self.base)
    }

    /// One command; its second word is a suffix.
    pub fn run(&mut self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(self.key(words[1])).arg(&words[2..]);
        command.exec(&mut self.connection).unwrap();
    }

    /// Jobs with these ids, `each` bytes of payload, in a list (given in the order they run) or set (scores from 1).
    pub fn jobs(&mut self, place: &str, ids: impl IntoIterator<Item = u64>, each: usize) {
        let payload = format!("{{\"text\":\"{}\"}}", "x".repeat(each));
        for chunk in ids.into_iter().collect::<Vec<_>>().chunks(1000) {
            let mut pipe = redis::pipe();
            for id in chunk {
                let job = self.key(&id.to_string());
                let fields: [(&str, &str); 4] =
                    [("name", "work"), ("data", &payload), ("opts", "{\"attempts\":3}"), ("priority", "0")];
                pipe.hset_multiple(&job, &fields).ignore();
                pipe.hset(&job, "timestamp", 1_700_000_000_000_u64 + id).ignore();
                match place {
                    "wait" | "active" | "paused" => pipe.lpush(self.key(place), *id).ignore(),
                    "delayed" => pipe.zadd(self.key(place), *id, (4_000_000_000_000 + *id) * 4096).ignore(),
                    _ => pipe.zadd(self.key(place), *id, 1_700_000_000_000_u64 + id).ignore(),
                };
            }
            pipe.incr(self.key("id"), chunk.len()).ignore();
            pipe.exec(&mut self.connection).unwrap();
        }
    }

    /// Finishes the next `count` waiting jobs at this time, as a worker that keeps them would.
    pub fn finish(&mut self, count: usize, at: i64) {
        for _ in 0..count {
            let id: String = redis::cmd("RPOP").arg(self.key("wait")).query(&mut self.connection).unwrap();
            self.run(&["ZADD", "completed", &at.to_string(), &id]);
        }
    }
}
