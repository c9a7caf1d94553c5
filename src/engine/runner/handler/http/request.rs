//! A request with placeholders: address, header lines and body.

use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};

use super::super::facts::Facts;
use super::super::{HandlerError, Surroundings};
use crate::config;
use crate::domain::template::{self, Part, Root, Template, TemplateError};

/// What a value becomes inside an address: it can neither end its part nor begin another.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A request that is filled from a job.
#[derive(Debug)]
pub(super) struct Request {
    method: Method,
    url: Template,
    /// Scheme, host and port; the same for every job.
    origin: Url,
    headers: Vec<(HeaderName, Template)>,
    body: Body,
    label: String,
}

#[derive(Debug)]
enum Body {
    Nothing,
    /// The exact bytes of the job's data.
    Data,
    Text(Template),
    Json(Node),
}

/// A value of JSON with placeholders in its texts.
#[derive(Debug)]
enum Node {
    Plain(String),
    Text(Template),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

/// What a status call says if nothing is configured.
pub(super) fn usual_status() -> toml::Value {
    let fields = ["id", "status", "attempt", "attempts", "error"];
    toml::Value::Table(fields.iter().map(|name| ((*name).to_owned(), format!("{{{name}}}").into())).collect())
}

impl Request {
    pub(super) fn build(
        at: &str,
        http: &config::Http,
        roots: &[Root],
        surroundings: &Surroundings,
    ) -> Result<Self, HandlerError> {
        let wrong = |field: &str, error: &dyn std::fmt::Display| {
            HandlerError::new(format!("{at}.{field}"), error.to_string(), "")
        };
        let method = Method::from_bytes(http.method.as_bytes()).map_err(|error| wrong("method", &error))?;
        let in_url = if roots == template::STATUS { template::STATUS } else { template::URL };
        let url = Template::parse(&http.url, in_url).map_err(|error| wrong("url", &error))?;
        let start = match url.parts().first() {
            Some(Part::Text(text)) => text.as_str(),
            _ => "",
        };
        let origin = Url::parse(start).map_err(|error| wrong("url", &format!("{start:?} is no address: {error}")))?;
        if !matches!(origin.scheme(), "http" | "https") || origin.host_str().is_none() {
            return Err(wrong("url", &format!("{start:?} is no address of a service")));
        }
        let header = |(name, value): (&str, &str)| {
            let known = HeaderName::from_bytes(name.as_bytes())
                .map_err(|error| wrong("headers", &format!("{name}: {error}")))?;
            let parsed = Template::parse(value, template::HEADER)
                .map_err(|error| wrong("headers", &format!("{name}: {error}")))?;
            let settled = parsed.settle(|field| match (field.root, field.path.first()) {
                (Root::Env, Some(variable)) => {
                    let value = surroundings.variables.get(std::ffi::OsStr::new(variable));
                    let value = value.and_then(|value| value.to_str()).map(|value| Some(value.to_owned()));
                    value.ok_or_else(|| {
                        let message = format!("{name}: the environment variable {variable} is not set");
                        HandlerError::new(format!("{at}.headers"), message, "set it where qtop is started")
                    })
                }
                _ => Ok(None),
            })?;
            Ok((known, settled))
        };
        let headers = http.headers.expose().map(header).collect::<Result<Vec<_>, HandlerError>>()?;
        let body = match &http.body {
            None if matches!(method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS) => Body::Nothing,
            None => Body::Data,
            Some(toml::Value::String(text)) => {
                let parsed = Template::parse(text, roots).map_err(|error| wrong("body", &error))?;
                let whole = parsed.sole().is_some_and(|field| field.root == Root::Data && field.path.is_empty());
                if whole { Body::Data } else { Body::Text(parsed) }
            }
            Some(value) => Body::Json(Node::parse(value, roots).map_err(|error| wrong("body", &error))?),
        };
        // A query may hold what should not stand in a message.
        let label = format!("{method} {}", http.url.split('?').next().unwrap_or_default());
        Ok(Self { method, url, origin, headers, body, label })
    }

    /// The request in a message: its method and its address as configured.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// The host, if it is written as an address.
    pub(super) fn literal_address(&self) -> Option<IpAddr> {
        super::parse_address(self.origin.host_str()?)
    }

    /// Fills it from a job.
    ///
    /// # Errors
    /// Says what of the job cannot be used.
    pub(super) fn fill(&self, client: &Client, facts: &Facts<'_>) -> Result<reqwest::Request, String> {
        let mut headers = HeaderMap::new();
        let (body, kind) = self.body.fill(facts)?;
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        for (name, template) in &self.headers {
            let bytes = facts.fill(template)?;
            let mut value = HeaderValue::from_bytes(&bytes).map_err(|_| {
                format!("the header {name} cannot hold what the job has there (a line end or a control)")
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let request = client.request(self.method.clone(), self.address(facts)?).headers(headers);
        let request = match body {
            Some(body) => request.body(body),
            None => request,
        };
        request.build().map_err(|error| format!("{}: {error}", self.label))
    }

    fn address(&self, facts: &Facts<'_>) -> Result<Url, String> {
        let mut text = String::new();
        for part in self.url.parts() {
            match part {
                Part::Text(fixed) => text.push_str(fixed),
                Part::Field(field) => {
                    let value = facts.text(field)?;
                    let value = std::str::from_utf8(&value)
                        .map_err(|_| format!("{field} is no text, but the address needs one"))?;
                    text.extend(utf8_percent_encode(value, VALUE));
                }
            }
        }
        let path = text.split(['?', '#']).next().unwrap_or_default();
        if path.split('/').any(|step| matches!(step, "." | "..")) {
            return Err(format!("{}: a part of the path would be . or .., and lead elsewhere", self.label));
        }
        let url = Url::parse(&text).map_err(|error| format!("{}: {error}", self.label))?;
        match url.origin() == self.origin.origin() {
            true => Ok(url),
            false => Err(format!("{}: the job would lead to another host", self.label)),
        }
    }
}

impl Body {
    /// What is sent, and what kind of text it is.
    fn fill(&self, facts: &Facts<'_>) -> Result<(Option<Vec<u8>>, Option<&'static str>), String> {
        const JSON: Option<&str> = Some("application/json");
        Ok(match self {
            Self::Nothing => (None, None),
            Self::Data => {
                let data = facts.payload().to_vec();
                let kind = if facts.is_json() { JSON } else { Some("application/octet-stream") };
                (Some(data), kind)
            }
            Self::Text(template) => {
                let job = template.sole().is_some_and(|field| field.root == Root::Job);
                (Some(facts.fill(template)?), if job { JSON } else { Some("text/plain; charset=utf-8") })
            }
            Self::Json(node) => {
                let mut text = String::new();
                node.write(facts, &mut text)?;
                (Some(text.into_bytes()), JSON)
            }
        })
    }
}

impl Node {
    fn parse(value: &toml::Value, roots: &[Root]) -> Result<Self, TemplateError> {
        Ok(match value {
            toml::Value::String(text) => Self::Text(Template::parse(text, roots)?),
            toml::Value::Array(items) => {
                Self::List(items.iter().map(|item| Self::parse(item, roots)).collect::<Result<_, _>>()?)
            }
            toml::Value::Table(table) => {
                let entry = |(name, item): (&String, &toml::Value)| Ok((name.clone(), Self::parse(item, roots)?));
                Self::Table(table.iter().map(entry).collect::<Result<_, TemplateError>>()?)
            }
            toml::Value::Datetime(moment) => Self::Plain(serde_json::Value::from(moment.to_string()).to_string()),
            toml::Value::Float(number) => Self::Plain(serde_json::Value::from(*number).to_string()),
            other => Self::Plain(other.to_string()),
        })
    }

    fn write(&self, facts: &Facts<'_>, out: &mut String) -> Result<(), String> {
        match self {
            Self::Plain(json) => out.push_str(json),
            Self::Text(template) => match template.sole() {
                Some(field) => out.push_str(&facts.json(field)?),
                None => {
                    let text = facts.fill(template)?;
                    out.push_str(&serde_json::Value::from(String::from_utf8_lossy(&text)).to_string());
                }
            },
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    item.write(facts, out)?;
                }
                out.push(']');
            }
            Self::Table(entries) => {
                out.push('{');
                for (index, (name, item)) in entries.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    out.push_str(&serde_json::Value::from(name.as_str()).to_string());
                    out.push(':');
                    item.write(facts, out)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }
}
