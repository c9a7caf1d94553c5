//! What to do about each error, in one sentence.

use std::borrow::Cow;

use super::address::AddressError;
use super::error::{CommandError, ConnectFailure, ConnectStep, LinkError, Remedy, TlsFailure};

impl Remedy for CommandError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        let Self::Refused { code, detail } = self else {
            return Some("Is this really a Redis server? Try `redis-cli PING` on the same address.".into());
        };
        let lower = detail.to_ascii_lowercase();
        Some(match code.as_str() {
            "NOAUTH" => {
                "The server wants a password: put it into the URL, the configuration or the environment.".into()
            }
            "WRONGPASS" => {
                "Check user name and password; a user that is off (`ACL SETUSER … off`) looks the same.".into()
            }
            "DENIED" => {
                "The server runs in protected mode: connect from its own machine, or give it a password.".into()
            }
            "NOPERM" => return Some(permission(detail)),
            "LOADING" => "The server is still reading its data from disk; qtop goes on when it is done.".into(),
            "BUSY" => {
                "A script blocks the server; qtop waits. Its owner can stop it with SCRIPT KILL if it has not written."
                    .into()
            }
            "READONLY" => "This is a replica: connect to the primary to change anything.".into(),
            "OOM" => "The server has reached maxmemory: give it more, or remove data. Reading still works.".into(),
            "MISCONF" => {
                "The server cannot save to disk and refuses writes: look at its log and free disk space.".into()
            }
            "NOREPLICAS" => {
                "Too few replicas are connected for writes (min-replicas-to-write): look after them.".into()
            }
            "CLUSTERDOWN" => "The cluster misses nodes or slots: see `redis-cli --cluster check`.".into(),
            "MASTERDOWN" => {
                "The replica has lost its primary and serves no old data: connect to the primary or wait.".into()
            }
            "TRYAGAIN" => "Slots are being moved between cluster nodes; qtop tries again.".into(),
            "CROSSSLOT" => "The keys lie in two cluster slots: give the queue's prefix a {hash tag}.".into(),
            "MOVED" | "ASK" => match moved_to(detail) {
                Some(node) => format!(
                    "This is one node of a Redis Cluster and the key lives on {node}: connect there to see its queues."
                )
                .into(),
                None => "This is one node of a Redis Cluster: connect to the node that has the key.".into(),
            },
            "UNBLOCKED" => "The server changed its role; qtop connects again.".into(),
            "WRONGTYPE" => {
                "The key holds another type than this system writes: something else uses the same name.".into()
            }
            "NOSCRIPT" => "The server forgot the script; qtop sends it again.".into(),
            "NOGROUP" => "The stream has no such consumer group: a worker creates it when it starts.".into(),
            "EXECABORT" => "A command of the transaction was refused; nothing was changed.".into(),
            "ERR" if lower.starts_with("unknown command") || lower.starts_with("unknown subcommand") => {
                "The server is too old for this, or its provider took the command away.".into()
            }
            "ERR" if lower.contains("db index is out of range") => {
                "The server has no database of this number; most have 0 to 15, a cluster only 0.".into()
            }
            "ERR" if lower.contains("select is not allowed in cluster mode") => {
                "A cluster has only database 0: leave the number out of the URL.".into()
            }
            "ERR" if lower.contains("max number of clients") => {
                "The server has no connection left: close some, or raise its maxclients.".into()
            }
            "ERR" if lower.contains("without any password configured") => {
                "The server has no password: leave it out of the URL and the configuration.".into()
            }
            _ => return None,
        })
    }
}

/// Names the ACL rule that is missing.
///
/// Redis 7 says "User NAME has no permissions to run the 'client|list' command" or "… to access one of the keys used
/// as arguments"; Redis 6 "this user has no permissions to run the 'get' command or its subcommand".
fn permission(detail: &str) -> Cow<'static, str> {
    let words: Vec<&str> = detail.split_whitespace().collect();
    let user = match words.as_slice() {
        [first, name, "has", ..] if first.eq_ignore_ascii_case("user") => (*name).to_owned(),
        _ => "NAME".to_owned(),
    };
    let user = user.trim_matches('\'').to_owned();
    let command = detail.split_once("run the '").and_then(|(_, rest)| rest.split_once('\'')).map(|(name, _)| name);
    match command {
        Some(command) => format!("An administrator can allow it: ACL SETUSER {user} +{}", command.to_ascii_lowercase()),
        None if detail.contains("key") => format!(
            "An administrator can allow reading the keys: ACL SETUSER {user} %R~PATTERN (before Redis 7: ~PATTERN)"
        ),
        None if detail.contains("channel") => format!("An administrator can allow it: ACL SETUSER {user} &PATTERN"),
        None => format!("An administrator can allow it: see ACL GETUSER {user} for what the user may do."),
    }
    .into()
}

/// The node in `MOVED 3999 127.0.0.1:6381`, whose first word is already gone.
fn moved_to(detail: &str) -> Option<&str> {
    detail.split_whitespace().nth(1).filter(|node| node.contains(':'))
}

impl Remedy for AddressError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::NoScheme => "Write it as redis://HOST:PORT, rediss://HOST:PORT for TLS, or unix:///PATH.".into(),
            Self::Scheme(_) => "Known are redis, rediss, unix, redis+unix and redis-sentinel.".into(),
            Self::Port => "Characters such as : / @ in a password must be written as %3A %2F %40.".into(),
            Self::Database => "Write the database as a number at the end, as in redis://HOST:PORT/2.".into(),
            Self::SocketPath => "Write it with three slashes, as in unix:///run/redis.sock.".into(),
            Self::Group => "The group's name stands in the Sentinel's configuration (sentinel monitor NAME …).".into(),
            Self::Encoding => "A % sign itself is written as %25.".into(),
        })
    }
}

impl Remedy for ConnectFailure {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Lookup(_) => "Check the host name, and this machine's DNS or VPN.".into(),
            Self::Refused => "Is Redis running there, on this port, and bound to this address?".into(),
            Self::Unreachable(_) => "Check the network, VPN and firewall between here and the server.".into(),
            Self::NoSocket => "Check the path, and that the server is running with `unixsocket` set to it.".into(),
            Self::SocketPermission => {
                "Add this user to the socket's group, or see the server's `unixsocketperm`.".into()
            }
            Self::Timeout { step: ConnectStep::Login, .. } => {
                "The port is open but nothing answers: is it Redis, is it blocked, does it want TLS (rediss://)?".into()
            }
            Self::Timeout { step: ConnectStep::Tls, .. } => {
                "The port is open but does not answer TLS: a Redis without TLS stays silent (write redis://).".into()
            }
            Self::Timeout { .. } => "Check the address, and firewalls that drop packets on the way.".into(),
            Self::Closed => "If the server expects TLS on this port, write rediss:// instead of redis://.".into(),
            Self::Tls(failure) => return failure.remedy(),
            Self::File { .. } => "Give the path of a readable PEM file.".into(),
            Self::Login(refusal) => return refusal.remedy(),
            Self::Sentinel(_) => {
                "Check the Sentinels' addresses and the group's name (SENTINEL MASTERS lists them).".into()
            }
            Self::Other(_) => return None,
        })
    }
}

impl Remedy for TlsFailure {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Expired => "The server needs a new certificate; if it has one, check this machine's clock.".into(),
            Self::NotValidYet => "Check this machine's clock and the server's.".into(),
            Self::UnknownIssuer => {
                "Give the file of the authority that signed it (tls ca), or ask for its name.".into()
            }
            Self::WrongName { .. } => {
                "Use one of the certificate's names in the URL, or set the server name to it.".into()
            }
            Self::Revoked => "The server needs a new certificate.".into(),
            Self::ClientCertificateMissing => "Give a client certificate and its key (tls cert, tls key).".into(),
            Self::ClientCertificateRefused(_) => {
                "The client certificate must be valid now and signed by an authority the server trusts.".into()
            }
            Self::NotTls => "Write redis:// instead of rediss://, or use the server's TLS port.".into(),
            Self::Other(_) => "Compare with what `openssl s_client -connect HOST:PORT` says.".into(),
        })
    }
}

impl Remedy for LinkError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Address(error) => error.remedy(),
            Self::Connect { failure, .. } => failure.remedy(),
            Self::Lost { .. } => Some("qtop connects again by itself.".into()),
            Self::Timeout { .. } => Some(
                "The server is busy or the network is slow or cut; qtop connects again. See SLOWLOG GET on the server."
                    .into(),
            ),
            Self::Command(error) => error.remedy(),
            Self::Gate { reason, .. } if reason.contains("read-only") => {
                Some("Start qtop without --read-only, on a server that is not marked so.".into())
            }
            Self::Gate { .. } => Some("This is a bug of qtop; please report it with the command's name.".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::RefusalKind;

    fn refused(line: &str) -> CommandError {
        let (code, detail) = line.split_once(' ').unwrap();
        CommandError::Refused { code: code.to_owned(), detail: detail.to_owned() }
    }

    #[test]
    fn r11_each_refusal_has_its_class_and_its_own_remedy() {
        use RefusalKind::{Command, Data, Login, Passing, Permission, WrongNode};
        // The words are those of Redis 7.0 and 7.2.
        let table = [
            ("READONLY You can't write against a read only replica.", WrongNode, "connect to the primary"),
            ("OOM command not allowed when used memory > 'maxmemory'.", Passing, "maxmemory"),
            ("BUSY Redis is busy running a script. You can only call SCRIPT KILL", Passing, "script blocks"),
            ("LOADING Redis is loading the dataset in memory", Passing, "reading its data"),
            ("MISCONF Redis is configured to save RDB snapshots", Passing, "save to disk"),
            ("NOREPLICAS Not enough good replicas to write.", Passing, "Too few replicas"),
            ("CLUSTERDOWN Hash slot not served", Passing, "misses nodes or slots"),
            ("MASTERDOWN Link with MASTER is down", Passing, "lost its primary"),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Passing, "tries again"),
            (
                "NOPERM this user has no permissions to run the 'client|list' command",
                Permission,
                "SETUSER NAME +client|list",
            ),
            ("NOPERM User ann has no permissions to run the 'get' command", Permission, "SETUSER ann +get"),
            ("NOPERM User ann has no permissions to access the 'k' key", Permission, "ACL SETUSER ann %R~PATTERN"),
            (
                "NOPERM this user has no permissions to access one of the channels used as arguments",
                Permission,
                "&PATTERN",
            ),
            ("NOPERM something new", Permission, "ACL GETUSER"),
            ("NOAUTH Authentication required.", Login, "wants a password"),
            ("WRONGPASS invalid username-password pair or user is disabled.", Login, "Check user name"),
            ("DENIED Redis is running in protected mode", Login, "protected mode"),
            ("CROSSSLOT Keys in request don't hash to the same slot", Command, "hash tag"),
            ("MOVED 3999 10.0.0.7:6381", WrongNode, "10.0.0.7:6381"),
            ("ASK 3999 10.0.0.7:6381", WrongNode, "10.0.0.7:6381"),
            ("MOVED nonsense", WrongNode, "connect to the node"),
            ("UNBLOCKED force unblock from blocking operation", WrongNode, "role"),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", Data, "another type"),
            ("NOGROUP No such key 'q' or consumer group 'g'", Data, "consumer group"),
            ("NOSCRIPT No matching script.", Command, "forgot the script"),
            ("EXECABORT Transaction discarded because of previous errors.", Command, "nothing was changed"),
            ("ERR unknown command 'zmscore', with args beginning with: ", Command, "too old"),
            ("ERR unknown subcommand 'NO-TOUCH'. Try CLIENT HELP.", Command, "too old"),
            ("ERR DB index is out of range", Command, "0 to 15"),
            ("ERR SELECT is not allowed in cluster mode", Command, "database 0"),
            ("ERR max number of clients reached", Command, "maxclients"),
            (
                "ERR AUTH <password> called without any password configured for the default user.",
                Command,
                "has no password",
            ),
        ];
        for (line, kind, words) in table {
            let error = refused(line);
            assert_eq!(error.kind(), kind, "{line}");
            let remedy = error.remedy().unwrap_or_else(|| panic!("{line} has no remedy"));
            assert!(remedy.contains(words), "{line}: {remedy}");
            // Said again wherever the refusal travels.
            assert_eq!(LinkError::Command(error.clone()).remedy().as_deref(), Some(&*remedy));
            assert_eq!(ConnectFailure::Login(error.clone()).remedy().as_deref(), Some(&*remedy));
        }
        assert_eq!(refused("ERR syntax error").remedy(), None);
        assert!(CommandError::Missing.remedy().is_some());
    }

    #[test]
    fn every_way_not_to_connect_has_a_remedy_and_knows_who_must_act() {
        let limit = std::time::Duration::from_secs(5);
        let file = ConnectFailure::File { what: "client key", path: "/k.pem".into(), cause: "gone".to_owned() };
        let tls = [
            TlsFailure::Expired,
            TlsFailure::NotValidYet,
            TlsFailure::UnknownIssuer,
            TlsFailure::WrongName { names: vec!["a".to_owned(), "b".to_owned()] },
            TlsFailure::Revoked,
            TlsFailure::ClientCertificateMissing,
            TlsFailure::ClientCertificateRefused("UnknownCA".to_owned()),
            TlsFailure::NotTls,
            TlsFailure::Other("odd".to_owned()),
        ];
        let passing = [
            ConnectFailure::Lookup("no".to_owned()),
            ConnectFailure::Refused,
            ConnectFailure::Unreachable("no route".to_owned()),
            ConnectFailure::NoSocket,
            ConnectFailure::Timeout { step: ConnectStep::Lookup, limit },
            ConnectFailure::Timeout { step: ConnectStep::Open, limit },
            ConnectFailure::Timeout { step: ConnectStep::Tls, limit },
            ConnectFailure::Timeout { step: ConnectStep::Login, limit },
            ConnectFailure::Closed,
            ConnectFailure::Login(refused("LOADING Redis is loading the dataset in memory")),
            ConnectFailure::Sentinel("none".to_owned()),
        ];
        let lasting = tls.into_iter().map(ConnectFailure::Tls).chain([
            file,
            ConnectFailure::SocketPermission,
            ConnectFailure::Login(refused("WRONGPASS invalid")),
        ]);
        let all = passing.into_iter().map(|failure| (failure, false)).chain(lasting.map(|failure| (failure, true)));
        for (failure, configuration) in all {
            let error = LinkError::Connect { target: "h:1".to_owned(), failure };
            assert!(error.remedy().is_some(), "{error}");
            assert!(error.needs_reconnect(), "{error}");
            assert_eq!(error.is_configuration(), configuration, "{error}");
            assert!(error.to_string().starts_with("cannot connect to h:1: "), "{error}");
        }
        for url in ["", "http://h", "redis://h:x", "redis://h/x", "unix://x", "redis-sentinel://h", "redis://%ff@h"] {
            let error = LinkError::from(crate::link::Address::parse(url).unwrap_err());
            assert!(error.remedy().is_some() && error.is_configuration() && !error.needs_reconnect(), "{error}");
        }
    }
}
