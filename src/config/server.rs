//! One described server.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::secret::Secret;

/// A Redis URL. May hold a password, so it is shown and written without (S8).
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(Secret);

impl ServerUrl {
    /// Takes over a URL as it was written.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Secret::new(text))
    }

    /// With its password. The caller must not keep or show it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// With `***` in place of passwords.
    pub fn safe(&self) -> String {
        mask(self.expose())
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.safe())
    }
}

impl Serialize for ServerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.safe())
    }
}

impl<'de> Deserialize<'de> for ServerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Replaces the login's password and every parameter that speaks of one. What stands before an at-sign without a colon
/// is taken for a password too: a forgotten colon must not show one.
fn mask(url: &str) -> String {
    let (head, query) = url.split_once('?').map_or((url, None), |(head, query)| (head, Some(query)));
    let mut safe = match (head.find("://"), head.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            let login = &head[scheme + 3..at];
            let user = login.split_once(':').map_or("", |(user, _)| user);
            let colon = if login.contains(':') { ":" } else { "" };
            format!("{}{user}{colon}***{}", &head[..scheme + 3], &head[at..])
        }
        _ => head.to_owned(),
    };
    if let Some(query) = query {
        let shown = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}=***"),
            _ => pair.to_owned(),
        });
        safe.push('?');
        safe.push_str(&shown.collect::<Vec<_>>().join("&"));
    }
    safe
}

/// How to reach a server and what kind of place it is.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Where it is. After loading also filled from `url_env` or `url_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<ServerUrl>,
    /// Environment variable that holds the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_env: Option<String>,
    /// File whose first line is the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// User name, if it is not in the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Environment variable that holds the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// File whose first line is the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Number of the database, if the URL names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub db: Option<u32>,
    /// PEM file of the authorities to trust instead of the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Name to expect in the server's certificate, where it differs from the URL's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Accept any certificate.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// What kind of place this is, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Refuse changes; `None`: only in production.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// The password found in `password_env` or `password_file`; not part of the file.
    #[serde(skip)]
    pub password: Option<Secret>,
    /// Why URL or password could not be found, with what to do; not part of the file. Matters only when this server is
    /// to be used: a variable for production need not be set where nobody looks at production.
    #[serde(skip)]
    pub missing: Option<String>,
}

impl Server {
    /// A server of which only the URL is known.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: Some(ServerUrl::new(url)), ..Self::default() }
    }

    /// The option for encrypted connections that does nothing here, if there is one: the URL asks for no encryption.
    pub fn idle_tls_option(&self) -> Option<&'static str> {
        let url = self.url.as_ref()?.expose().to_ascii_lowercase();
        if url.starts_with("rediss") || url.starts_with("valkeys") {
            return None;
        }
        let options = [
            ("ca", self.ca.is_some()),
            ("cert", self.cert.is_some()),
            ("key", self.key.is_some()),
            ("server_name", self.server_name.is_some()),
            ("insecure", self.insecure),
        ];
        options.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    /// True if `env` names production.
    pub fn is_production(&self) -> bool {
        let name = self.env.as_deref().unwrap_or_default().to_ascii_lowercase();
        matches!(name.as_str(), "prod" | "production" | "live")
    }

    /// Why changes are refused here; `None` if they are not.
    pub fn read_only_reason(&self) -> Option<String> {
        match (self.read_only, self.is_production()) {
            (Some(true), _) => Some("this server is set to read_only".to_owned()),
            (None, true) => {
                Some(format!("env = {:?} makes a server read-only unless it says read_only = false", self.env()))
            }
            _ => None,
        }
    }

    fn env(&self) -> &str {
        self.env.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s8_urls_show_no_password() {
        let cases = [
            ("redis://u:s3cret@h:1/0", "redis://u:***@h:1/0"),
            ("redis://:s3cret@h", "redis://:***@h"),
            ("redis://s3cret@h", "redis://***@h"),
            ("redis://u:s3/cr@et@h", "redis://u:***@h"),
            ("redis+unix:///s?password=s3cret&db=1", "redis+unix:///s?password=***&db=1"),
            ("redis://h/0", "redis://h/0"),
        ];
        for (url, safe) in cases {
            let url = ServerUrl::new(url);
            assert_eq!(url.safe(), safe);
            assert_eq!(format!("{url:?}"), safe);
        }
        let mut server = Server::at("redis://u:s3cret@h");
        server.password = Some("s3cret".into());
        assert!(!format!("{server:?}").contains("s3cret"));
        assert!(!toml::to_string(&server).expect("writes").contains("s3cret"));
    }

    #[test]
    fn s1_production_is_read_only_unless_it_says_otherwise() {
        let server = |env: &str, read_only| Server { env: Some(env.into()), read_only, ..Server::default() };
        assert!(server("Prod", None).read_only_reason().is_some());
        assert!(server("live", None).read_only_reason().is_some());
        assert!(server("prod", Some(false)).read_only_reason().is_none());
        assert!(server("staging", None).read_only_reason().is_none());
        assert!(server("staging", Some(true)).read_only_reason().is_some());
    }
}
