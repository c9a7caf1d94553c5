//! Where a Redis is: URLs taken apart, and put together again without their secrets (S8).

use std::borrow::Cow;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::domain::secret::Secret;

/// Port of a Redis server if the URL names none.
const SERVER_PORT: u16 = 6379;
/// Port of a Sentinel if the URL names none.
const SENTINEL_PORT: u16 = 26379;

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Over TCP.
    Tcp(Node),
    /// A socket in the file system.
    Unix(PathBuf),
    /// The primary of a group that Sentinels watch.
    Sentinel {
        /// Sentinels, tried in order.
        sentinels: Vec<Node>,
        /// Name of the group.
        group: String,
        /// Login at the Sentinels; they have their own.
        username: Option<String>,
        /// Password at the Sentinels.
        password: Option<Secret>,
    },
}

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl std::fmt::Display for Node {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(formatter, "[{}]:{}", self.host, self.port),
            false => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

/// A URL taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where.
    pub endpoint: Endpoint,
    /// Over TLS.
    pub tls: bool,
    /// User name, if given.
    pub username: Option<String>,
    /// Password, if given.
    pub password: Option<Secret>,
    /// Number of the database, if given.
    pub db: Option<u32>,
}

/// Why a URL is none. Never repeats the URL: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `scheme://`.
    #[error("the Redis URL has no scheme")]
    NoScheme,
    /// Not one of those qtop knows.
    #[error("the Redis URL has the unknown scheme {0:?}")]
    Scheme(String),
    /// Not a port.
    #[error("the Redis URL has a port that is no number from 1 to 65535")]
    Port,
    /// Not a database number.
    #[error("the Redis URL names a database that is no number")]
    Database,
    /// A unix socket without an absolute path.
    #[error("the Redis URL names a unix socket without an absolute path")]
    SocketPath,
    /// Sentinels without the name of a group.
    #[error("the Sentinel URL does not name the group (redis-sentinel://host:26379/NAME)")]
    Group,
    /// `%zz`, or bytes that are not UTF-8.
    #[error("the Redis URL has a user name, password or path that is not valid when decoded")]
    Encoding,
}

impl Address {
    /// Takes a URL apart.
    ///
    /// `redis://`, `rediss://` (also `valkey://`, `valkeys://`): `[[user]:password@]host[:port][/db]`.
    /// `unix://`, `redis+unix://`, `redis+socket://`: `[[user]:password@]/path`.
    /// `redis-sentinel://`, `rediss-sentinel://`: `[[user]:password@]host[:port][,host[:port]…]/group[/db]`.
    /// Everywhere `?db=`, `?username=`, `?password=`, for Sentinels also `?sentinel_username=` and
    /// `?sentinel_password=`; other parameters are those of other programs and are ignored.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = split_scheme(url).ok_or(AddressError::NoScheme)?;
        let scheme = scheme.to_ascii_lowercase();
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let query = Query::parse(query)?;
        let kind = match scheme.as_str() {
            "redis" | "valkey" => Kind::Tcp { tls: false },
            "rediss" | "valkeys" => Kind::Tcp { tls: true },
            "unix" | "redis+unix" | "valkey+unix" | "redis+socket" => Kind::Unix,
            "redis-sentinel" | "redis+sentinel" => Kind::Sentinel { tls: false },
            "rediss-sentinel" | "rediss+sentinel" => Kind::Sentinel { tls: true },
            word if word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) => {
                return Err(AddressError::Scheme(scheme));
            }
            _ => return Err(AddressError::NoScheme),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (username, password) = login.split_once(':').unwrap_or((login, ""));
        let username = query.username.clone().or(present(decode(username)?));
        let password = query.password.clone().or(present(decode(password)?).map(Secret::new));
        let (endpoint, tls, path_db) = match kind {
            Kind::Tcp { tls } => (Endpoint::Tcp(node(hosts, SERVER_PORT)?), tls, database(path.trim_matches('/'))?),
            Kind::Unix => {
                if !path.starts_with('/') || !hosts.is_empty() {
                    return Err(AddressError::SocketPath);
                }
                (Endpoint::Unix(PathBuf::from(decode(path)?)), false, None)
            }
            Kind::Sentinel { tls } => {
                let sentinels = hosts.split(',').map(|host| node(host, SENTINEL_PORT)).collect::<Result<_, _>>()?;
                let path = path.trim_matches('/');
                let (group, db) = path.split_once('/').unwrap_or((path, ""));
                let group = present(decode(group)?).ok_or(AddressError::Group)?;
                let (username, password) = (query.sentinel_username.clone(), query.sentinel_password.clone());
                (Endpoint::Sentinel { sentinels, group, username, password }, tls, database(db)?)
            }
        };
        Ok(Self { endpoint, tls, username, password, db: query.db.or(path_db) })
    }

    /// Host and port, or path: what messages say.
    pub fn target(&self) -> String {
        match &self.endpoint {
            Endpoint::Tcp(node) => node.to_string(),
            Endpoint::Unix(path) => path.display().to_string(),
            Endpoint::Sentinel { sentinels, group, .. } => {
                let nodes: Vec<String> = sentinels.iter().map(Node::to_string).collect();
                format!("{group} at Sentinel {}", nodes.join(","))
            }
        }
    }

    /// The URL with every secret replaced by `***`. A user name without a password is hidden too: it is most often a
    /// password in the wrong place.
    pub fn safe_url(&self) -> String {
        let login = match (&self.username, &self.password) {
            (None, None) => String::new(),
            (Some(_), None) => "***@".to_owned(),
            (None, Some(_)) => ":***@".to_owned(),
            (Some(username), Some(_)) => format!("{username}:***@"),
        };
        let db = self.db.filter(|db| *db != 0);
        let slash_db = db.map_or(String::new(), |db| format!("/{db}"));
        match &self.endpoint {
            Endpoint::Tcp(node) => format!("redis{}://{login}{node}{slash_db}", if self.tls { "s" } else { "" }),
            Endpoint::Unix(path) => {
                let db = db.map_or(String::new(), |db| format!("?db={db}"));
                format!("unix://{login}{}{db}", path.display())
            }
            Endpoint::Sentinel { sentinels, group, .. } => {
                let nodes: Vec<String> = sentinels.iter().map(Node::to_string).collect();
                let tls = if self.tls { "s" } else { "" };
                format!("redis{tls}-sentinel://{login}{}/{group}{slash_db}", nodes.join(","))
            }
        }
    }
}

enum Kind {
    Tcp { tls: bool },
    Unix,
    Sentinel { tls: bool },
}

/// A URL as it may be shown, also if it is not a valid one.
pub fn safe_url(url: &str) -> String {
    match Address::parse(url) {
        Ok(address) => address.safe_url(),
        Err(_) => {
            let (scheme, rest) = split_scheme(url).map_or(("", url), |(scheme, rest)| (scheme, rest));
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            let host = host.split(['?', '#']).next().unwrap_or_default();
            let hidden = if host.len() == rest.len() { "" } else { "***@" };
            let slashes = if scheme.is_empty() { "" } else { "://" };
            format!("{scheme}{slashes}{hidden}{host}")
        }
    }
}

/// True if a URL holds a password. On a command line others see it, so qtop warns.
pub fn has_password(url: &str) -> bool {
    match Address::parse(url) {
        Ok(address) => {
            let at_sentinels = matches!(&address.endpoint, Endpoint::Sentinel { password: Some(_), .. });
            address.password.is_some() || at_sentinels
        }
        Err(_) => url.rsplit_once('@').is_some_and(|(login, _)| login.trim_end_matches("://").contains(':')),
    }
}

fn split_scheme(url: &str) -> Option<(&str, &str)> {
    url.split_once("://")
        .or_else(|| url.strip_prefix("unix:").filter(|rest| rest.starts_with('/')).map(|rest| ("unix", rest)))
}

fn node(text: &str, default_port: u16) -> Result<Node, AddressError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None | Some("") => default_port,
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(AddressError::Port)?,
    };
    let host = present(decode(host)?).unwrap_or_else(|| "localhost".to_owned());
    Ok(Node { host, port })
}

fn database(text: &str) -> Result<Option<u32>, AddressError> {
    match text {
        "" => Ok(None),
        number => number.parse().map(Some).map_err(|_| AddressError::Database),
    }
}

fn decode(text: &str) -> Result<String, AddressError> {
    percent_decode_str(text).decode_utf8().map(Cow::into_owned).map_err(|_| AddressError::Encoding)
}

fn present(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

#[derive(Default)]
struct Query {
    db: Option<u32>,
    username: Option<String>,
    password: Option<Secret>,
    sentinel_username: Option<String>,
    sentinel_password: Option<Secret>,
}

impl Query {
    fn parse(text: &str) -> Result<Self, AddressError> {
        let mut query = Self::default();
        for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = decode(value)?;
            match name {
                "db" => query.db = database(&value)?,
                "user" | "username" => query.username = present(value),
                "pass" | "password" => query.password = present(value).map(Secret::new),
                "sentinel_username" => query.sentinel_username = present(value),
                "sentinel_password" => query.sentinel_password = present(value).map(Secret::new),
                _ => {}
            }
        }
        Ok(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let table = [
            ("redis://", "redis://localhost:6379", None, None),
            ("redis://h", "redis://h:6379", None, None),
            ("redis://h:1/3", "redis://h:1/3", None, None),
            ("REDIS://h/0", "redis://h:6379", None, None),
            ("rediss://u:p%40%2Fs@h:1", "rediss://u:***@h:1", Some("u"), Some("p@/s")),
            ("redis://:pw@h", "redis://:***@h:6379", None, Some("pw")),
            ("redis://u:p@ss@h", "redis://u:***@h:6379", Some("u"), Some("p@ss")),
            ("redis://onlyname@h", "redis://***@h:6379", Some("onlyname"), None),
            ("redis://h?db=2&password=x%26y&ssl_cert_reqs=none", "redis://:***@h:6379/2", None, Some("x&y")),
            ("redis://[::1]:7", "redis://[::1]:7", None, None),
            ("redis://[fe80::1]", "redis://[fe80::1]:6379", None, None),
            ("valkeys://h", "rediss://h:6379", None, None),
            ("unix:///run/r.sock", "unix:///run/r.sock", None, None),
            ("unix:/run/r.sock", "unix:///run/r.sock", None, None),
            ("redis+unix:///run/a%20b.sock?db=4", "unix:///run/a b.sock?db=4", None, None),
            ("redis+unix://u:pw@/r.sock", "unix://u:***@/r.sock", Some("u"), Some("pw")),
            (
                "redis-sentinel://:pw@a,b:2/mymaster/5?sentinel_password=s",
                "redis-sentinel://:***@a:26379,b:2/mymaster/5",
                None,
                Some("pw"),
            ),
        ];
        for (url, safe, username, password) in table {
            let address = Address::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(address.safe_url(), safe, "{url}");
            assert_eq!(address.username.as_deref(), username, "{url}");
            assert_eq!(address.password.as_ref().map(Secret::expose), password, "{url}");
            // The safe form leads to the same place.
            assert_eq!(Address::parse(safe).unwrap().target(), address.target(), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_told_apart() {
        let table = [
            ("localhost:6379", AddressError::NoScheme),
            ("", AddressError::NoScheme),
            ("http://h", AddressError::Scheme("http".into())),
            ("redis://h:x", AddressError::Port),
            ("redis://h:0", AddressError::Port),
            ("redis://h:70000", AddressError::Port),
            ("redis://h/db", AddressError::Database),
            ("redis://h?db=-1", AddressError::Database),
            ("unix://relative/path", AddressError::SocketPath),
            ("unix://", AddressError::SocketPath),
            ("redis-sentinel://h:1", AddressError::Group),
            ("redis://:%ff@h", AddressError::Encoding),
        ];
        for (url, error) in table {
            assert_eq!(Address::parse(url), Err(error), "{url}");
        }
    }

    #[test]
    fn s8_no_form_shows_the_password() {
        for url in [
            "redis://u:hunter2@h",
            "redis://hunter2@h",
            "redis://h?password=hunter2",
            "redis://u:hunter2@h:notaport",
            "u:hunter2@h:6379",
            "foo://u:hunter2@h/x?y=hunter2#hunter2",
            "redis://h:notaport?password=hunter2",
            "unix://:hunter2@/p",
            "redis-sentinel://a/g?sentinel_password=hunter2",
        ] {
            assert!(!safe_url(url).contains("hunter2"), "{url} -> {}", safe_url(url));
            let shown = format!("{:?}", Address::parse(url));
            assert!(url.contains("//hunter2@") || !shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn s8_a_password_in_a_url_is_noticed() {
        for url in ["redis://u:p@h", "redis://:p@h", "redis://h?password=p", "redis://u:p@h:x", "u:p@h"] {
            assert!(has_password(url), "{url}");
        }
        for url in ["redis://h", "redis://h:6379/0", "unix:///a:b", "redis://u@h", "localhost:6379", "redis://:@h"] {
            assert!(!has_password(url), "{url}");
        }
    }
}
