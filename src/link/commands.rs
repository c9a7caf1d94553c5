//! The table of every command qtop may ever send. What is not in it never leaves.
//!
//! The gate, the ACL generator, the cost meter and the documentation read this one table; a test compares it with
//! what a real server says of each command (`COMMAND INFO`).

use super::limit::{Keyword, Limit};

/// How a server classes a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reads keys (server flag `readonly`).
    Read,
    /// Changes keys, or may (server flag `write`, or category `@scripting`).
    Write,
    /// Touches no key, but the server counts it as dangerous (category `@dangerous`).
    Admin,
    /// Concerns this connection only, or the server's clock.
    Connection,
}

/// What a command costs the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cost {
    /// O(1).
    Constant,
    /// O(log n) in the size of the key.
    Logarithmic,
    /// O(number of arguments), which are capped.
    Arguments,
    /// Linear in something; the text says in what and what keeps it small.
    Linear(&'static str),
}

/// One command qtop may send.
#[derive(Debug)]
pub struct CommandSpec {
    /// First word, upper case.
    pub name: &'static str,
    /// Second word if the command is a container such as `CLIENT`.
    pub subcommand: Option<&'static str>,
    /// How the server classes it.
    pub access: Access,
    /// What it costs the server.
    pub cost: Cost,
    /// The server's own mark: `@slow` rather than `@fast`.
    pub slow: bool,
    /// Waits on the server: leaves only on a connection that is for that (R3).
    pub blocking: bool,
    /// For the runner alone: needs leave to write, whatever the server calls it.
    pub working: bool,
    /// What its arguments must obey.
    pub limit: Limit,
    /// First server version that has it, major and minor.
    pub since: (u16, u16),
}

impl CommandSpec {
    const fn new(name: &'static str, access: Access, cost: Cost) -> Self {
        Self {
            name,
            subcommand: None,
            access,
            cost,
            slow: false,
            blocking: false,
            working: false,
            limit: Limit::None,
            since: (1, 0),
        }
    }

    const fn sub(mut self, subcommand: &'static str) -> Self {
        self.subcommand = Some(subcommand);
        self
    }

    const fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    const fn blocking(mut self) -> Self {
        self.blocking = true;
        self
    }

    const fn working(mut self) -> Self {
        self.working = true;
        self
    }

    const fn limit(mut self, limit: Limit) -> Self {
        self.limit = limit;
        self
    }

    const fn since(mut self, major: u16, minor: u16) -> Self {
        self.since = (major, minor);
        self
    }

    /// True if it needs leave to write.
    pub fn changes(&self) -> bool {
        self.access == Access::Write || self.working
    }

    /// The name as `ACL` lines and `INFO commandstats` write it: `lrange`, `client|setname`.
    pub fn server_name(&self) -> String {
        match self.subcommand {
            None => self.name.to_ascii_lowercase(),
            Some(subcommand) => format!("{}|{}", self.name, subcommand).to_ascii_lowercase(),
        }
    }

    /// The name as a person writes it: `CLIENT SETNAME`.
    pub fn title(&self) -> String {
        match self.subcommand {
            None => self.name.to_owned(),
            Some(subcommand) => format!("{} {subcommand}", self.name),
        }
    }
}

/// Most members of a list, sorted set or stream in one reply (P3).
pub const MAX_SPAN: u64 = 500;
/// Highest `COUNT` of a keyspace scan step.
pub const MAX_SCAN_COUNT: u64 = 10_000;
/// Highest `COUNT` of a scan step inside one key.
pub const MAX_MEMBER_SCAN_COUNT: u64 = 1_000;
/// Most keys, fields or members named by one command.
pub const MAX_NAMED: usize = 500;
/// Most list entries one `LPOS` looks at (about 1.5 ms).
pub const MAX_LPOS_LENGTH: u64 = 100_000;
/// Most bytes of one value in one reply (S6).
pub const MAX_VALUE_BYTES: u64 = 16 << 20;

const fn read(name: &'static str, cost: Cost) -> CommandSpec {
    CommandSpec::new(name, Access::Read, cost)
}

const fn write(name: &'static str, cost: Cost) -> CommandSpec {
    CommandSpec::new(name, Access::Write, cost)
}

const fn connection(name: &'static str, cost: Cost) -> CommandSpec {
    CommandSpec::new(name, Access::Connection, cost)
}

const fn admin(name: &'static str, cost: Cost) -> CommandSpec {
    CommandSpec::new(name, Access::Admin, cost)
}

use Cost::{Arguments, Constant, Linear, Logarithmic};

const PAGE: Cost = Linear("the members asked for, at most 500, plus the way to the first");
const STEP: Cost = Linear("COUNT");
const CONSUMERS: Cost = Linear("consumer groups or consumers of one stream");
const STORED: Cost = Linear("members of one key; only after a length check");

/// Every command, reads first. `CLIENT LIST` is sent on the Workers screen only (P8).
pub static COMMANDS: &[CommandSpec] = &[
    connection("PING", Constant),
    connection("HELLO", Constant).since(6, 0),
    connection("AUTH", Constant),
    connection("SELECT", Constant),
    connection("TIME", Constant),
    connection("CLIENT", Constant).sub("SETNAME").slow(),
    connection("CLIENT", Constant).sub("SETINFO").slow().since(7, 2),
    connection("CLIENT", Constant).sub("NO-TOUCH").slow().since(7, 2),
    connection("CLIENT", Constant).sub("ID").slow().since(5, 0),
    connection("CLIENT", Constant).sub("TRACKING").slow().working().since(6, 0),
    admin("CLIENT", Constant).sub("NO-EVICT").slow().since(7, 0),
    admin("CLIENT", Constant).sub("UNBLOCK").slow().working().since(5, 0),
    admin("CLIENT", Linear("connected clients; asked at most every 30 s, above 1,000 only if confirmed"))
        .sub("LIST")
        .slow(),
    admin("INFO", Constant).slow(),
    admin("ROLE", Constant).since(2, 8),
    admin("SENTINEL", Constant).sub("GET-MASTER-ADDR-BY-NAME").slow().since(2, 8),
    read("DBSIZE", Constant),
    read("SCAN", STEP).slow().limit(Limit::Step { skip: 1, max: MAX_SCAN_COUNT }).since(2, 8),
    read("TYPE", Constant),
    read("EXISTS", Arguments).limit(Limit::Named { skip: 0, max: MAX_NAMED }),
    read("TTL", Constant),
    read("PTTL", Constant),
    read("MEMORY", Linear("SAMPLES, at most 100")).sub("USAGE").slow().limit(Limit::Samples { max: 100 }).since(4, 0),
    read("DUMP", Linear("the value; only after its size was asked")).slow().since(2, 6),
    read("GET", Constant),
    read("MGET", Arguments).limit(Limit::Named { skip: 0, max: MAX_NAMED }),
    read("STRLEN", Constant),
    read("GETRANGE", Linear("bytes asked for, at most 16 MiB")).slow().limit(Limit::Span { max: MAX_VALUE_BYTES }),
    read("LLEN", Constant),
    read("LINDEX", Linear("distance to the nearer end")).slow(),
    read("LRANGE", PAGE).slow().limit(Limit::Span { max: MAX_SPAN }),
    read("LPOS", Linear("MAXLEN, at most 100,000"))
        .slow()
        .limit(Limit::Required { keyword: Keyword::MaxLen, skip: 2, max: MAX_LPOS_LENGTH })
        .since(6, 0),
    read("HGET", Constant),
    read("HMGET", Arguments).limit(Limit::Named { skip: 1, max: MAX_NAMED }),
    read("HLEN", Constant),
    read("HSTRLEN", Constant).since(3, 2),
    read("HEXISTS", Constant),
    read("HGETALL", STORED).slow(),
    read("HSCAN", STEP).slow().limit(Limit::Step { skip: 2, max: MAX_MEMBER_SCAN_COUNT }).since(2, 8),
    read("SCARD", Constant),
    read("SISMEMBER", Constant),
    read("SSCAN", STEP).slow().limit(Limit::Step { skip: 2, max: MAX_MEMBER_SCAN_COUNT }).since(2, 8),
    read("ZCARD", Constant),
    read("ZCOUNT", Logarithmic),
    read("ZSCORE", Constant),
    read("ZMSCORE", Arguments).limit(Limit::Named { skip: 1, max: MAX_NAMED }).since(6, 2),
    read("ZRANK", Logarithmic),
    read("ZREVRANK", Logarithmic),
    read("ZRANGE", PAGE).slow().limit(Limit::SortedRange { max: MAX_SPAN }),
    read("ZREVRANGE", PAGE).slow().limit(Limit::Span { max: MAX_SPAN }),
    read("ZRANGEBYSCORE", PAGE).slow().limit(Limit::PageRequired { max: MAX_SPAN }),
    read("ZREVRANGEBYSCORE", PAGE).slow().limit(Limit::PageRequired { max: MAX_SPAN }),
    read("ZSCAN", STEP).slow().limit(Limit::Step { skip: 2, max: MAX_MEMBER_SCAN_COUNT }).since(2, 8),
    read("XLEN", Constant).since(5, 0),
    read("XRANGE", PAGE).slow().limit(Limit::Required { keyword: Keyword::Count, skip: 3, max: MAX_SPAN }).since(5, 0),
    read("XREVRANGE", PAGE)
        .slow()
        .limit(Limit::Required { keyword: Keyword::Count, skip: 3, max: MAX_SPAN })
        .since(5, 0),
    read("XINFO", Constant).sub("STREAM").slow().limit(Limit::StreamFull { max: MAX_SPAN }).since(5, 0),
    read("XINFO", CONSUMERS).sub("GROUPS").slow().since(5, 0),
    read("XINFO", CONSUMERS).sub("CONSUMERS").slow().since(5, 0),
    read("XPENDING", PAGE).slow().limit(Limit::Pending { max: MAX_SPAN }).since(5, 0),
    write("EVAL", Linear("the script; each works in bounded chunks")).slow().since(2, 6),
    write("EVALSHA", Linear("the script; each works in bounded chunks")).slow().since(2, 6),
    write("LPUSH", Arguments).limit(Limit::Named { skip: 1, max: MAX_NAMED }),
    write("RPUSH", Arguments).limit(Limit::Named { skip: 1, max: MAX_NAMED }),
    write("LREM", Linear("the list; the cost is shown before")).slow(),
    write("LMOVE", Constant).slow().since(6, 2),
    write("BLMOVE", Constant).slow().blocking().since(6, 2),
    write("BZPOPMIN", Logarithmic).blocking().since(5, 0),
    write("ZADD", Logarithmic),
    write("ZREM", Logarithmic),
    write("HSET", Arguments).limit(Limit::Named { skip: 1, max: MAX_NAMED }),
    write("HDEL", Arguments).limit(Limit::Named { skip: 1, max: MAX_NAMED }),
    write("HINCRBY", Constant),
    write("INCRBY", Constant),
    write("SADD", Arguments).limit(Limit::Named { skip: 1, max: MAX_NAMED }),
    write("SREM", Arguments).limit(Limit::Named { skip: 1, max: MAX_NAMED }),
    write("SET", Constant).slow(),
    write("DEL", Arguments).slow().limit(Limit::Named { skip: 0, max: MAX_NAMED }),
    write("UNLINK", Arguments).limit(Limit::Named { skip: 0, max: MAX_NAMED }).since(4, 0),
    write("RESTORE", Linear("the value, which was once dumped")).slow().since(2, 6),
    write("PEXPIRE", Constant).since(2, 6),
    write("PERSIST", Constant),
    write("XREADGROUP", Linear("COUNT, at most 500"))
        .slow()
        .blocking()
        .limit(Limit::Required { keyword: Keyword::Count, skip: 3, max: MAX_SPAN })
        .since(5, 0),
    write("XADD", Constant).since(5, 0),
    write("XACK", Arguments).limit(Limit::Named { skip: 2, max: MAX_NAMED }).since(5, 0),
    write("XDEL", Arguments).limit(Limit::Named { skip: 1, max: MAX_NAMED }).since(5, 0),
    write("XCLAIM", Arguments).limit(Limit::Named { skip: 4, max: MAX_NAMED }).since(5, 0),
];

/// Commands that only qtop's own scripts call, inside the server, with the first version that has each. The gate lets
/// none of them out; a user who is to change queues needs leave for them all the same.
pub static SCRIPTED: &[(&str, (u16, u16))] = &[
    ("DECR", (1, 0)),
    ("EXPIRE", (1, 0)),
    ("HKEYS", (2, 0)),
    ("HSETNX", (2, 0)),
    ("INCR", (1, 0)),
    ("LINSERT", (2, 2)),
    ("LPOP", (1, 0)),
    ("LTRIM", (1, 0)),
    ("PUBLISH", (2, 0)),
    ("RENAME", (1, 0)),
    ("RPOPLPUSH", (1, 2)),
    ("SMEMBERS", (1, 0)),
    ("XGROUP|DELCONSUMER", (5, 0)),
    ("XTRIM", (5, 0)),
    ("ZPOPMIN", (5, 0)),
    ("ZREMRANGEBYRANK", (2, 0)),
    ("ZREMRANGEBYSCORE", (1, 2)),
];

/// Position of a command in [`COMMANDS`], by its first words in any case.
pub fn find(words: &[&[u8]]) -> Option<usize> {
    let name = words.first()?;
    COMMANDS.iter().position(|spec| {
        spec.name.as_bytes().eq_ignore_ascii_case(name)
            && spec.subcommand.is_none_or(|subcommand| {
                words.get(1).is_some_and(|word| subcommand.as_bytes().eq_ignore_ascii_case(word))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_each_command_is_listed_once_in_upper_case() {
        let mut names: Vec<String> = COMMANDS.iter().map(CommandSpec::title).collect();
        assert!(names.iter().all(|name| *name == name.to_ascii_uppercase()));
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn p3_forbidden_words_are_not_in_the_table() {
        for (name, _) in SCRIPTED {
            assert_eq!(find(&name.split('|').map(str::as_bytes).collect::<Vec<_>>()), None, "{name}");
        }
        let forbidden = [
            "KEYS",
            "MONITOR",
            "SMEMBERS",
            "DEBUG",
            "SORT",
            "SORT_RO",
            "FLUSHALL",
            "FLUSHDB",
            "SAVE",
            "BGSAVE",
            "CONFIG",
            "SHUTDOWN",
            "SLAVEOF",
            "REPLICAOF",
            "BLPOP",
            "BRPOP",
            "LPOP",
            "RPOP",
            "HKEYS",
            "HVALS",
            "FCALL",
        ];
        for word in forbidden {
            assert_eq!(find(&[word.as_bytes()]), None, "{word}");
        }
        for subcommand in ["FLUSH", "KILL", "EXISTS"] {
            assert_eq!(find(&[b"SCRIPT", subcommand.as_bytes()]), None, "SCRIPT {subcommand}");
        }
        assert_eq!(find(&[b"CLIENT", b"KILL"]), None);
        assert_eq!(find(&[b"CLIENT"]), None, "a container without its subcommand");
    }

    #[test]
    fn commands_are_found_in_any_case() {
        assert_eq!(COMMANDS[find(&[b"client", b"setname", b"x"]).unwrap()].title(), "CLIENT SETNAME");
        assert_eq!(COMMANDS[find(&[b"lrange"]).unwrap()].server_name(), "lrange");
    }
}
