//! Reading INFO: facts about the server, and what its own statistics say commands cost.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::snapshot::ServerFacts;
use crate::domain::time::Timestamp;
use crate::link::Value;

/// The lines of an INFO reply as pairs.
pub struct Info<'a>(HashMap<&'a str, &'a str>);

impl<'a> Info<'a> {
    /// Reads the reply's text.
    pub fn parse(text: &'a str) -> Self {
        Self(
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| line.trim_end().split_once(':'))
                .collect(),
        )
    }

    fn text(&self, field: &str) -> Option<String> {
        self.0.get(field).filter(|text| !text.is_empty()).map(|text| (*text).to_owned())
    }

    fn number(&self, field: &str) -> Option<u64> {
        self.0.get(field)?.parse().ok()
    }

    fn flag(&self, field: &str) -> Option<bool> {
        Some(*self.0.get(field)? != "0")
    }

    /// Product name: forks keep `redis_version` for old clients and add a field of their own.
    fn product(&self) -> Option<&'static str> {
        let own = |field: &str| self.0.contains_key(field);
        if own("valkey_version") || self.0.get("server_name").is_some_and(|name| *name == "valkey") {
            Some("valkey")
        } else if own("dragonfly_version") || self.0.get("redis_version").is_some_and(|v| v.starts_with("df-")) {
            Some("dragonfly")
        } else if own("kvrocks_version") {
            Some("kvrocks")
        } else if self.0.get("redis_build_id").is_some_and(|build| *build == "meebis") {
            Some("meebis")
        } else if own("redis_version") && own("redis_build_id") {
            Some("redis")
        } else {
            None
        }
    }

    /// What the reply tells of the server. Fields it lacks stay as in `before`, except for what changes every tick.
    pub fn facts(&self, before: &ServerFacts) -> ServerFacts {
        let role = self.0.get("role").map(|role| match *role {
            "master" => "primary".to_owned(),
            "slave" => "replica".to_owned(),
            other => other.to_owned(),
        });
        ServerFacts {
            version: self
                .text("valkey_version")
                .or_else(|| self.text("dragonfly_version"))
                .or_else(|| self.text("redis_version"))
                .or_else(|| before.version.clone()),
            product: self.product().map(str::to_owned).or_else(|| before.product.clone()),
            mode: self.text("redis_mode").or_else(|| self.text("server_mode")).or_else(|| before.mode.clone()),
            role: role.or_else(|| before.role.clone()),
            run_id: self.text("run_id").or_else(|| before.run_id.clone()),
            uptime_seconds: self.number("uptime_in_seconds"),
            clients: self.number("connected_clients"),
            blocked_clients: self.number("blocked_clients"),
            memory_used: self.number("used_memory"),
            memory_max: self.number("maxmemory"),
            eviction_policy: self.text("maxmemory_policy").or_else(|| before.eviction_policy.clone()),
            evicted_keys: self.number("evicted_keys"),
            // meebis counts none and always says zero.
            ops_per_second: self.number("instantaneous_ops_per_sec").filter(|_| self.product() != Some("meebis")),
            replicas: self.number("connected_slaves"),
            primary_link: self.text("master_link_status"),
            aof: self.flag("aof_enabled"),
            last_save_ok: self.0.get("rdb_last_bgsave_status").map(|status| *status == "ok"),
            last_save: self
                .number("rdb_last_save_time")
                .and_then(|s| i64::try_from(s).ok())
                .map(Timestamp::from_seconds),
            loading: self.flag("loading"),
            keys: before.keys,
        }
    }
}

/// Calls of one command and the server time they took, since the server's statistics were last reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CommandStat {
    /// Number of calls of all clients.
    pub calls: u64,
    /// Time they took together.
    pub time: Duration,
}

impl CommandStat {
    /// Server time of one call in microseconds, over all clients since the statistics were last reset.
    pub fn mean_micros(&self) -> f64 {
        self.time.as_secs_f64() * 1e6 / self.calls.max(1) as f64
    }
}

/// Reads `INFO commandstats`: command name as the server writes it (`client|list`) → calls and time.
pub fn command_stats(text: &str) -> HashMap<String, CommandStat> {
    let read = |line: &str| {
        let (name, values) = line.trim_end().strip_prefix("cmdstat_")?.split_once(':')?;
        let value = |field: &str| {
            values
                .split(',')
                .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == field))?
                .1
                .parse::<u64>()
                .ok()
        };
        let stat = CommandStat { calls: value("calls")?, time: Duration::from_micros(value("usec")?) };
        Some((name.to_ascii_lowercase(), stat))
    };
    text.lines().filter_map(read).collect()
}

/// Text of a bulk, simple or verbatim string.
pub fn reply_text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

/// The moment of a TIME reply.
pub fn reply_time(value: &Value) -> Option<Timestamp> {
    let Value::Array(parts) = value else { return None };
    let [seconds, micros] = parts.as_slice() else { return None };
    let number = |value: &Value| match value {
        Value::Int(number) => Some(*number),
        other => reply_text(other)?.parse::<i64>().ok(),
    };
    Some(Timestamp(number(seconds)?.checked_mul(1000)?.checked_add(number(micros)? / 1000)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIS: &str = "# Server\r\nredis_version:7.0.15\r\nredis_build_id:ae4d\r\nredis_mode:standalone\r\nrun_id:abc\r\n\
        uptime_in_seconds:77\r\n# Clients\r\nconnected_clients:4\r\nblocked_clients:1\r\n# Memory\r\nused_memory:1000\r\n\
        maxmemory:0\r\nmaxmemory_policy:noeviction\r\n# Stats\r\ninstantaneous_ops_per_sec:9\r\nevicted_keys:0\r\n\
        # Replication\r\nrole:slave\r\nmaster_link_status:down\r\n# Persistence\r\nloading:0\r\naof_enabled:1\r\n\
        rdb_last_bgsave_status:err\r\nrdb_last_save_time:1700000000\r\n";

    #[test]
    fn facts_are_read_from_info() {
        let facts = Info::parse(REDIS).facts(&ServerFacts::default());
        assert_eq!(facts.version.as_deref(), Some("7.0.15"));
        assert_eq!(facts.product.as_deref(), Some("redis"));
        assert_eq!(facts.role.as_deref(), Some("replica"));
        assert_eq!(facts.primary_link.as_deref(), Some("down"));
        assert_eq!((facts.clients, facts.blocked_clients, facts.memory_max), (Some(4), Some(1), Some(0)));
        assert_eq!((facts.last_save_ok, facts.loading, facts.aof), (Some(false), Some(false), Some(true)));
        assert_eq!(facts.last_save, Some(Timestamp(1_700_000_000_000)));
        assert_eq!(facts.replicas, None, "what is not told is unknown");
    }

    #[test]
    fn forks_say_who_they_are() {
        let product = |text| Info::parse(text).facts(&ServerFacts::default()).product;
        assert_eq!(product("redis_version:7.2.4\r\nvalkey_version:8.1.0\r\n").as_deref(), Some("valkey"));
        assert_eq!(product("redis_version:7.4.0\r\ndragonfly_version:df-v1.3\r\n").as_deref(), Some("dragonfly"));
        assert_eq!(product("redis_version:7.0.0\r\n"), None, "a server that only claims compatibility is not trusted");
    }

    #[test]
    fn statistics_of_commands_are_read() {
        let text = "# Commandstats\r\ncmdstat_scan:calls=500,usec=215201,usec_per_call=430.40,rejected_calls=0,failed_calls=0\r\n\
            cmdstat_client|list:calls=1,usec=12,usec_per_call=12.00\r\ncmdstat_broken\r\n";
        let stats = command_stats(text);
        assert_eq!(stats["scan"], CommandStat { calls: 500, time: Duration::from_micros(215_201) });
        assert_eq!(stats["client|list"].calls, 1);
        assert_eq!(stats.len(), 2);
    }

    #[test]
    fn time_replies_are_read() {
        let text = |t: &str| Value::BulkString(t.as_bytes().to_vec());
        assert_eq!(
            reply_time(&Value::Array(vec![text("1700000000"), text("123456")])),
            Some(Timestamp(1_700_000_000_123))
        );
        assert_eq!(reply_time(&Value::Array(vec![text("x"), text("1")])), None);
        assert_eq!(reply_time(&Value::Nil), None);
    }
}
