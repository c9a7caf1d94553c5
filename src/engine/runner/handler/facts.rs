//! One attempt as texts and JSON: what placeholders are filled with, and the line a program reads.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::value::RawValue;

use super::super::work::Work;
use crate::domain::template::{Field, Part, Root, Template};

/// Most names of fields told when one is missing.
const NAMED: usize = 8;

/// One attempt, read lazily: nothing is parsed before it is asked for.
pub(super) struct Facts<'a> {
    work: &'a Work,
    /// What became of it and why; only for calls that tell so.
    outcome: Option<(&'static str, &'a str)>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(work: &'a Work) -> Self {
        Self { work, outcome: None }
    }

    /// The same attempt with its outcome.
    pub(super) fn with_outcome(work: &'a Work, status: &'static str, error: &'a str) -> Self {
        Self { work, outcome: Some((status, error)) }
    }

    /// The exact bytes of the job's data.
    pub(super) fn payload(&self) -> &'a [u8] {
        &self.work.payload
    }

    /// True if the data is one JSON document.
    pub(super) fn is_json(&self) -> bool {
        as_json(&self.work.payload).is_some()
    }

    /// Fills a text. Strings of JSON come without quotes and escapes, numbers as they are written, tables and lists as
    /// JSON; bytes that are no UTF-8 stay what they are (R17).
    ///
    /// # Errors
    /// Names the field that the job does not have, without repeating its data.
    pub(super) fn fill(&self, template: &Template) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        for part in template.parts() {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Field(field) => out.extend_from_slice(&self.text(field)?),
            }
        }
        Ok(out)
    }

    /// One placeholder as text.
    pub(super) fn text(&self, field: &Field) -> Result<Cow<'a, [u8]>, String> {
        let work = self.work;
        let owned = |text: String| Cow::Owned(text.into_bytes());
        Ok(match field.root {
            Root::Id => Cow::Borrowed(work.id.as_bytes()),
            Root::Name => Cow::Borrowed(work.name.as_bytes()),
            Root::Queue => Cow::Borrowed(work.address.as_bytes()),
            Root::Attempt => owned(work.attempt.to_string()),
            Root::Attempts => owned(work.attempts.map(|attempts| attempts.to_string()).unwrap_or_default()),
            Root::Job => Cow::Owned(envelope(work)),
            Root::Status => Cow::Borrowed(self.outcome.map_or("", |(status, _)| status).as_bytes()),
            Root::Error => Cow::Borrowed(self.outcome.map_or("", |(_, error)| error).as_bytes()),
            Root::Data if field.path.is_empty() => Cow::Borrowed(&work.payload),
            Root::Data => {
                let raw = self.data(field)?;
                match raw.as_bytes().first() {
                    Some(b'"') => owned(serde_json::from_str(raw).map_err(|_| format!("{field} cannot be read"))?),
                    Some(b'n') => return Err(format!("{field}: this field of the job's data is null")),
                    _ => Cow::Borrowed(raw.as_bytes()),
                }
            }
            Root::Env => return Err(format!("{field} is not known here")),
        })
    }

    /// One placeholder as JSON of the kind it has in the job.
    pub(super) fn json(&self, field: &Field) -> Result<String, String> {
        let work = self.work;
        match field.root {
            Root::Attempt => Ok(work.attempt.to_string()),
            Root::Attempts => Ok(work.attempts.map_or_else(|| "null".to_owned(), |attempts| attempts.to_string())),
            Root::Job => Ok(String::from_utf8_lossy(&envelope(work)).into_owned()),
            Root::Data if field.path.is_empty() => match as_json(&work.payload) {
                Some(json) => Ok(json.to_owned()),
                None => Ok(quoted(&String::from_utf8_lossy(&work.payload))),
            },
            Root::Data => self.data(field).map(str::to_owned),
            _ => self.text(field).map(|text| quoted(&String::from_utf8_lossy(&text))),
        }
    }

    /// The JSON text at a path of the data.
    fn data(&self, field: &Field) -> Result<&'a str, String> {
        let mut here = as_json(&self.work.payload).ok_or_else(|| format!("{field}: the job's data is not JSON"))?;
        for step in &field.path {
            let found = match here.as_bytes().first() {
                Some(b'{') => {
                    let table: BTreeMap<Cow<'_, str>, &RawValue> =
                        serde_json::from_str(here).map_err(|_| format!("{field}: the job's data cannot be read"))?;
                    let found = table.get(step.as_str()).map(|raw| raw.get());
                    found.ok_or_else(|| missing(field, step, table.keys().map(|name| &**name)))?
                }
                Some(b'[') => {
                    let list: Vec<&RawValue> =
                        serde_json::from_str(here).map_err(|_| format!("{field}: the job's data cannot be read"))?;
                    let found = step.parse::<usize>().ok().and_then(|index| list.get(index)).map(|raw| raw.get());
                    found.ok_or_else(|| format!("{field}: the list has no item {step:?}, it has {}", list.len()))?
                }
                _ => return Err(format!("{field}: there is nothing below it to find {step:?} in")),
            };
            here = found.trim();
        }
        Ok(here)
    }
}

fn missing<'a>(field: &Field, step: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let more = if names.len() > NAMED { ", …" } else { "" };
    match names.is_empty() {
        true => format!("{field}: the job has no {step:?} there, and nothing else"),
        false => format!(
            "{field}: the job has no {step:?} there; it has {}{more}",
            names[..names.len().min(NAMED)].join(", ")
        ),
    }
}

/// The text of a payload if it is one JSON document.
fn as_json(payload: &[u8]) -> Option<&str> {
    serde_json::from_slice::<&RawValue>(payload).ok().map(|raw| raw.get().trim())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The job as one line of JSON, without the line's end. The data stands in it byte for byte, except that line ends
/// between its parts become spaces; data that is no JSON stands in `data_base64`.
pub(super) fn envelope(work: &Work) -> Vec<u8> {
    let mut line = Vec::with_capacity(work.payload.len() + 160);
    let id = String::from_utf8_lossy(work.id.as_bytes());
    let head = [("id", &*id), ("name", &work.name), ("queue", &work.address)];
    for (index, (name, value)) in head.into_iter().enumerate() {
        line.extend_from_slice(if index == 0 { b"{\"" } else { b",\"" });
        line.extend_from_slice(name.as_bytes());
        line.extend_from_slice(b"\":");
        line.extend_from_slice(quoted(value).as_bytes());
    }
    line.extend_from_slice(format!(",\"attempt\":{}", work.attempt).as_bytes());
    if let Some(attempts) = work.attempts {
        line.extend_from_slice(format!(",\"attempts\":{attempts}").as_bytes());
    }
    match as_json(&work.payload) {
        Some(json) => {
            line.extend_from_slice(b",\"data\":");
            // A raw line end inside a text is no JSON, so what is replaced here lies between values.
            line.extend(json.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
        }
        None => {
            line.extend_from_slice(b",\"data\":null,\"data_base64\":\"");
            line.extend_from_slice(BASE64.encode(&work.payload).as_bytes());
            line.push(b'"');
        }
    }
    line.push(b'}');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::template::{BODY, STATUS};
    use crate::engine::runner::handler::sample;

    fn fill(payload: &str, template: &str) -> Result<String, String> {
        let work = sample(payload);
        let template = Template::parse(template, BODY).expect("sound");
        Facts::of(&work).fill(&template).map(|bytes| String::from_utf8(bytes).expect("text"))
    }

    #[test]
    fn r17_fields_come_as_they_are_written() {
        let payload =
            r#"{"url":"a\"b\u00e9","n":9223372036854775808,"x":1e400,"list":[{"k":"v"}],"a.b":true,"d":1,"d":2}"#;
        for (template, text) in [
            ("--u={data.url}", "--u=a\"bé"),
            ("{data.n}/{data.x}", "9223372036854775808/1e400"),
            ("{data.list.0.k}", "v"),
            ("{data.list}", r#"[{"k":"v"}]"#),
            ("{data.a\\.b}{data.d}", "true2"),
            ("{id} {name} {queue} {attempt}/{attempts}", "7 send list:mail 2/3"),
        ] {
            assert_eq!(fill(payload, template).as_deref(), Ok(text), "{template}");
        }
        assert_eq!(fill(payload, "{data}").as_deref(), Ok(payload));
    }

    #[test]
    fn a_missing_field_is_named_and_no_value_is_repeated() {
        let payload = r#"{"repo":"s3cret","user":{"mail":null}}"#;
        for (template, said) in [
            ("{data.url}", "{data.url}: the job has no \"url\" there; it has repo, user"),
            ("{data.repo.x}", "{data.repo.x}: there is nothing below it to find \"x\" in"),
            ("{data.user.mail}", "{data.user.mail}: this field of the job's data is null"),
        ] {
            assert_eq!(fill(payload, template), Err(said.to_owned()));
        }
        assert_eq!(fill("plain", "{data.url}"), Err("{data.url}: the job's data is not JSON".to_owned()));
        assert_eq!(fill("[1]", "{data.4}"), Err("{data.4}: the list has no item \"4\", it has 1".to_owned()));
    }

    #[test]
    fn r17_the_line_holds_the_exact_data() {
        let line = |payload: &[u8]| {
            let mut work = sample("");
            work.payload = bytes::Bytes::copy_from_slice(payload);
            String::from_utf8(envelope(&work)).expect("text")
        };
        let head = r#"{"id":"7","name":"send","queue":"list:mail","attempt":2,"attempts":3,"#;
        assert_eq!(line(b"{\"a\": 1e400,\n\"a\":2}"), format!("{head}\"data\":{{\"a\": 1e400, \"a\":2}}}}"));
        assert_eq!(line(b"\xff\0"), format!("{head}\"data\":null,\"data_base64\":\"/wA=\"}}"));
        assert_eq!(line(b""), format!("{head}\"data\":null,\"data_base64\":\"\"}}"));
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert_eq!(line(&deep).len(), head.len() + 8 + 200_000);
    }

    #[test]
    fn values_of_a_body_keep_their_kind() {
        let work = sample(r#"{"n":1e400,"s":"x"}"#);
        let facts = Facts::with_outcome(&work, "failed", "no \"luck\"");
        let json = |text: &str| {
            let template = Template::parse(text, STATUS).expect("sound");
            facts.json(template.sole().expect("one")).expect("there")
        };
        assert_eq!(json("{data.n}"), "1e400");
        assert_eq!(json("{data.s}"), "\"x\"");
        assert_eq!(json("{attempt}"), "2");
        assert_eq!(json("{error}"), r#""no \"luck\"""#);
    }
}
