//! Deliveries over HTTP.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::super::values;
use super::sign::StatusClass;

/// A service to which jobs are delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Method of the request.
    pub method: String,
    /// Where to; placeholders may stand in its path and its query.
    pub url: String,
    /// Header lines; placeholders may stand in the values, `{env.NAME}` for secrets among them.
    #[serde(skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
    /// What is sent: a text, or a table that becomes JSON. `None`: the exact bytes of the job's data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<toml::Value>,
    /// PEM file of the client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// PEM file of the authorities to trust instead of the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// A name that leads to an address of a private network is meant to (S12).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
    /// Statuses that mean the job is done.
    pub success: Vec<StatusClass>,
    /// Statuses after which it is delivered again; all others are failures that stay.
    pub retry: Vec<StatusClass>,
    /// Longest time for one request, from the name lookup to the end of the answer.
    #[serde(with = "values::time")]
    pub timeout: Duration,
    /// Longest time until the connection stands.
    #[serde(with = "values::time")]
    pub connect_timeout: Duration,
    /// A second request that tells what becomes of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusCall>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            method: "POST".to_owned(),
            url: String::new(),
            headers: Headers::default(),
            body: None,
            cert: None,
            key: None,
            ca: None,
            private: false,
            success: vec![StatusClass::Hundred(2)],
            retry: [408, 425, 429].map(StatusClass::One).into_iter().chain([StatusClass::Hundred(5)]).collect(),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            status: None,
        }
    }
}

/// A request that tells what becomes of a job; by the same connection rules as the delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatusCall {
    /// Method of the request.
    pub method: String,
    /// Where to; placeholders may stand in its path and its query.
    pub url: String,
    /// Header lines, as for the delivery; `None`: the same as there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers>,
    /// What is sent; `None`: id, status, attempt, attempts and error as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<toml::Value>,
    /// Tell before the delivery that it begins.
    pub before: bool,
    /// Tell after it how it ended.
    pub after: bool,
}

impl Default for StatusCall {
    fn default() -> Self {
        Self { method: "PUT".to_owned(), url: String::new(), headers: None, body: None, before: true, after: true }
    }
}

/// Header lines by name. Values that may be secrets are shown and written without (S8).
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// Takes over lines as they were written.
    pub fn new(lines: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(lines.into_iter().collect())
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values. The caller must not keep or show the values.
    pub fn expose(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn safe(&self) -> BTreeMap<&str, &str> {
        let hide = |name: &str, value: &str| {
            let name = name.to_ascii_lowercase();
            let secret = ["auth", "cookie", "token", "secret", "key", "pass"].iter().any(|word| name.contains(word));
            secret && !value.contains("{env.")
        };
        self.expose().map(|(name, value)| (name, if hide(name, value) { "***" } else { value })).collect()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.safe().fmt(f)
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.safe().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s8_headers_show_no_secret() {
        let lines = [("Authorization", "Bearer s3cret"), ("X-Api-Key", "s3cret"), ("Authorisation-Of", "{env.TOKEN}")];
        let lines = lines.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let http = Http { headers: Headers::new(lines), ..Http::default() };
        let written = toml::to_string(&http).expect("writes");
        assert!(!written.contains("s3cret") && !format!("{http:?}").contains("s3cret"), "{written}");
        assert!(written.contains("{env.TOKEN}"), "{written}");
    }
}
