//! What a service answers, and why it does not.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use serde_json::value::RawValue;

use super::address::Refused;
use crate::domain::text;
use crate::link::{causes, tls_failure};

/// Longest wait that a service may ask for. A broken clock must not put a job off for years.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// An answer, with as much of its body as is wanted.
pub(super) struct Answer {
    pub(super) status: u16,
    reason: &'static str,
    body: Bytes,
    /// The body is longer than that.
    pub(super) cut: bool,
    /// The wait the service asks for.
    pub(super) after: Option<Duration>,
    location: bool,
}

impl Answer {
    /// Sends a request and reads the answer, both within the limit.
    pub(super) async fn to(
        client: &reqwest::Client,
        mut request: reqwest::Request,
        limit: Duration,
        longest: usize,
    ) -> Result<Self, reqwest::Error> {
        *request.timeout_mut() = Some(limit);
        let mut response = client.execute(request).await?;
        let status = response.status();
        let headers = response.headers();
        let after = retry_after(headers, Timestamp::now());
        let location = headers.contains_key(LOCATION);
        let mut body = BytesMut::new();
        let mut cut = false;
        while let Some(chunk) = response.chunk().await? {
            let room = longest.saturating_sub(body.len());
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            cut = chunk.len() > room;
            if cut {
                break;
            }
        }
        let reason = status.canonical_reason().unwrap_or_default();
        Ok(Self { status: status.as_u16(), reason, body: body.freeze(), cut, after, location })
    }

    /// The body, if it is JSON and all of it is here.
    pub(super) fn json(&self) -> Option<Bytes> {
        let is_json = !self.cut && serde_json::from_slice::<&RawValue>(&self.body).is_ok();
        is_json.then(|| self.body.clone())
    }

    /// Status and the first words of the body.
    pub(super) fn describe(&self) -> String {
        let mut said = format!("{} {}", self.status, self.reason).trim_end().to_owned();
        if (300..400).contains(&self.status) && self.location {
            said.push_str(", a redirect; they are not followed: configure the address it leads to");
        }
        let first = text::first_line(&String::from_utf8_lossy(&self.body), 300);
        if !first.is_empty() {
            said.push_str(": ");
            said.push_str(&first);
        }
        said
    }
}

/// `Retry-After` as seconds or as a moment (RFC 9110, 10.2.3). A moment is compared with the service's own clock, if
/// it tells it.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let moment = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|moment| moment.timestamp());
    let asked = text(RETRY_AFTER)?;
    let wait = match asked.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let now = text(DATE).and_then(moment).unwrap_or(now);
            Duration::try_from(moment(asked)?.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// Why there is no answer, in words a person can use.
pub(super) fn explain(label: &str, limit: Duration, error: &reqwest::Error) -> String {
    let mut last = String::new();
    for cause in causes(error) {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return format!("{label} was not sent: {refused}");
        }
        if cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return format!("{label} was not sent: nobody listens there (connection refused)");
        }
        last = cause.to_string();
    }
    if let Some(failure) = tls_failure(error) {
        return format!("{label} failed: {failure}");
    }
    if error.is_timeout() {
        let what = if error.is_connect() { "no connection in time" } else { "no answer in time" };
        return format!("{label} failed: {what}; a request may take {limit:?}");
    }
    format!("{label} failed: {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(lines: &[(&'static str, &str)]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.insert(*name, value.parse().expect("a value"));
        }
        let now = "2026-11-21T10:00:00Z".parse().expect("a moment");
        retry_after(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        assert_eq!(wait(&[("retry-after", "120")]), Some(120));
        assert_eq!(wait(&[("retry-after", "Sat, 21 Nov 2026 10:01:30 GMT")]), Some(90));
        assert_eq!(wait(&[("retry-after", "Sat, 21 Nov 2026 09:00:00 GMT")]), Some(0), "a moment in the past");
        let skewed = [("date", "Sat, 21 Nov 2026 12:00:00 GMT"), ("retry-after", "Sat, 21 Nov 2026 12:00:05 GMT")];
        assert_eq!(wait(&skewed), Some(5), "by the service's own clock");
        assert_eq!(wait(&[("retry-after", "99999999999")]), Some(86_400));
        for odd in ["soon", "-1", "1.5", ""] {
            assert_eq!(wait(&[("retry-after", odd)]), None, "{odd}");
        }
        assert_eq!(wait(&[]), None);
    }
}
