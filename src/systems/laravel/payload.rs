//! A job's payload: JSON whose fields are read leniently and changed by cutting, so that every other byte stays.

use std::collections::HashMap;

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::time::Timestamp;
use crate::systems::list::seen;

/// The fields of a payload, each as it is written.
pub struct Payload<'a> {
    text: &'a str,
    fields: HashMap<String, &'a RawValue>,
    /// Fields may stand in a part that is not read.
    cut: bool,
}

/// Collects the members of an object one by one, so that those before an error are kept.
struct Complete<'f, 'a>(&'f mut HashMap<String, &'a RawValue>);

impl<'a> DeserializeSeed<'a> for Complete<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Complete<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some((name, value)) = members.next_entry()? {
            self.0.insert(name, value);
        }
        Ok(())
    }
}

impl<'a> Payload<'a> {
    /// `None` if the bytes are no JSON object: a worker that takes such an item destroys it without a word.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let fields = serde_json::from_str(text).ok()?;
        Some(Self { text, fields, cut: false })
    }

    /// The same of a payload of `total` bytes: of a huge one the fields that are complete in its start are read.
    pub fn of(bytes: &'a [u8], total: u64) -> Option<Self> {
        let seen = seen(bytes, total);
        if seen.len() as u64 == total {
            return Self::read(seen);
        }
        let sound = seen.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let mut fields = HashMap::new();
        // The start of a document ends in an error, always; what was complete before it counts.
        let mut reader = serde_json::Deserializer::from_str(sound);
        let _ = Complete(&mut fields).deserialize(&mut reader);
        (!fields.is_empty()).then_some(Self { text: sound, fields, cut: true })
    }

    /// True if it has what every Laravel job has. A huge one has it if the name of its handler stands at its start.
    pub fn is_job(&self) -> bool {
        if self.cut {
            return self.fields.contains_key("job");
        }
        self.fields.contains_key("job") && self.fields.contains_key("data") && self.count("attempts").is_some()
    }

    /// A field as it is written; `None` for null too.
    pub fn raw(&self, field: &str) -> Option<&'a str> {
        self.fields.get(field).map(|raw| raw.get()).filter(|raw| *raw != "null")
    }

    /// A text, or a number as text.
    pub fn text(&self, field: &str) -> Option<String> {
        text_of(self.raw(field)?)
    }

    /// A whole number that is not negative, also written as a string.
    pub fn count(&self, field: &str) -> Option<u64> {
        let number = self.text(field)?.trim().parse::<f64>().ok()?;
        (0.0..1e15).contains(&number).then_some(number as u64)
    }

    /// What the job is known by: `uuid`, or `id` in old payloads.
    pub fn id(&self) -> Option<String> {
        self.text("uuid").or_else(|| self.text("id")).filter(|id| !id.is_empty())
    }

    /// The class or handler, as people know it.
    pub fn name(&self) -> Option<String> {
        self.text("displayName").or_else(|| self.text("job"))
    }

    /// When it was pushed: Laravel 12.11 and later, or Horizon.
    pub fn created_at(&self) -> Option<Timestamp> {
        let seconds = self.count("createdAt").or_else(|| self.pushed_at())?;
        i64::try_from(seconds).ok().map(Timestamp::from_seconds)
    }

    /// Horizon writes the seconds with a fraction.
    fn pushed_at(&self) -> Option<u64> {
        self.count("pushedAt")
    }

    /// The fields of `data`, if it is an object.
    pub fn data(&self) -> Option<Payload<'a>> {
        Payload::read(self.raw("data")?.as_bytes())
    }

    /// The tags Horizon gave it.
    pub fn tags(&self) -> Vec<String> {
        let all: Vec<String> = self.raw("tags").and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
        all.into_iter().take(50).collect()
    }

    /// The serialized command, its JSON escapes undone.
    pub fn command(&self) -> Option<String> {
        self.data()?.text("command")
    }

    /// The batch it belongs to.
    pub fn batch(&self) -> Option<String> {
        let data = self.data()?;
        data.text("batchId").or_else(|| {
            // Laravel before 10 keeps it inside the serialized command: s:7:"batchId";s:36:"…".
            let command = data.text("command")?;
            let (_, after) = command.split_once("\"batchId\";s:36:\"")?;
            after.get(..36).map(str::to_owned)
        })
    }

    /// True if it has no attempt left: a further pop would fail it without running it.
    pub fn is_exhausted(&self, now: Timestamp) -> bool {
        if let Some(until) = self.count("retryUntil") {
            return i64::try_from(until).is_ok_and(|until| Timestamp::from_seconds(until) <= now);
        }
        matches!((self.count("attempts"), self.count("maxTries")), (Some(made), Some(most)) if most > 0 && made >= most)
    }

    /// The payload with other values for some fields, all other bytes as they are. Values are JSON. A field that is
    /// missing is put first.
    pub fn with(&self, changes: &[(&str, String)]) -> Vec<u8> {
        let mut cuts: Vec<(usize, usize, String)> = Vec::new();
        let mut new = String::new();
        for (field, value) in changes {
            match self.fields.get(*field) {
                Some(raw) => {
                    // The raw value is a part of the text, so its place is the distance of the two.
                    let start = raw.get().as_ptr() as usize - self.text.as_ptr() as usize;
                    cuts.push((start, start + raw.get().len(), value.clone()));
                }
                None => {
                    new.push_str(&format!("{}:{value}{}", quoted(field), if self.fields.is_empty() { "" } else { "," }))
                }
            }
        }
        if !new.is_empty() {
            let start = self.text.find('{').map_or(0, |brace| brace + 1);
            cuts.push((start, start, new));
        }
        cuts.sort_by_key(|cut| cut.0);
        let mut out = String::with_capacity(self.text.len() + 64);
        let mut at = 0;
        for (start, end, value) in cuts {
            out.push_str(&self.text[at..start]);
            out.push_str(&value);
            at = end;
        }
        out.push_str(&self.text[at..]);
        out.into_bytes()
    }
}

/// A JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

fn text_of(raw: &str) -> Option<String> {
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str(raw).ok(),
        b'{' | b'[' => None,
        _ => Some(raw.to_owned()),
    }
}

/// A random identity, version 4.
pub fn new_uuid() -> String {
    let mut bytes = fastrand::u128(..).to_be_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The payload of a job whose handler is a name, `Class@method`, and whose data is this JSON.
pub fn wrapped(handler: &str, data: &str, tries: Option<u64>, uuid: &str) -> Vec<u8> {
    let tries = tries.map_or("null".to_owned(), |tries| tries.to_string());
    let (name, uuid) = (quoted(handler), quoted(uuid));
    format!(
        "{{\"uuid\":{uuid},\"displayName\":{name},\"job\":{name},\"maxTries\":{tries},\"maxExceptions\":null,\
         \"failOnTimeout\":false,\"backoff\":null,\"timeout\":null,\"data\":{data},\"id\":{uuid},\"attempts\":0}}"
    )
    .into_bytes()
}

/// The same job as one that was never tried, under a new identity; the new id comes with it.
pub fn copy_of(payload: &Payload<'_>) -> (String, Vec<u8>) {
    let uuid = new_uuid();
    let mut changes = vec![("attempts", "0".to_owned())];
    // Under Horizon both are the same; plain Laravel has 32 letters of its own.
    let same = payload.text("id") == payload.text("uuid");
    let id = if same { uuid.clone() } else { std::iter::repeat_with(fastrand::alphanumeric).take(32).collect() };
    changes.push(("id", quoted(&id)));
    if payload.text("uuid").is_some() || same {
        changes.push(("uuid", quoted(&uuid)));
    }
    let bytes = payload.with(&changes);
    let known = Payload::read(&bytes).and_then(|copy| copy.id()).unwrap_or(uuid);
    (known, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = r#"{"uuid":"u-1","displayName":"App\\Jobs\\Send","job":"Illuminate\\Queue\\CallQueuedHandler@call","maxTries":2,"timeout":null,"retryUntil":null,"data":{"commandName":"App\\Jobs\\Send","command":"O:13:\"App\\Jobs\\Send\":1:{s:1:\"a\";s:3:\"h\u00e9\";}"},"id":"abc", "attempts" : 2 ,"big":9007199254740993}"#;

    #[test]
    fn s6_of_a_huge_payload_the_fields_at_its_start_are_read() {
        let start = br#"{"uuid":"u-1","job":"Handler","attempts":2,"data":{"command":"xxxx"#;
        let payload = Payload::of(start, 64 << 20).unwrap();
        assert_eq!((payload.id().as_deref(), payload.count("attempts")), (Some("u-1"), Some(2)));
        assert!(payload.is_job() && payload.data().is_none());
        for bad in [&b"xxxx"[..], b"[1,2", b"{\"a", b"\xff"] {
            assert!(Payload::of(bad, 64 << 20).is_none());
        }
        assert!(Payload::of(start, start.len() as u64).is_none(), "a broken payload stays one");
    }

    #[test]
    fn fields_are_read_as_they_come() {
        let payload = Payload::read(JOB.as_bytes()).unwrap();
        assert!(payload.is_job());
        assert_eq!(payload.id().as_deref(), Some("u-1"));
        assert_eq!(payload.name().as_deref(), Some("App\\Jobs\\Send"));
        assert_eq!((payload.count("attempts"), payload.count("timeout")), (Some(2), None));
        assert_eq!(payload.command().as_deref(), Some("O:13:\"App\\Jobs\\Send\":1:{s:1:\"a\";s:3:\"hé\";}"));
        assert!(payload.is_exhausted(Timestamp(0)));
        assert_eq!(payload.created_at(), None);
        let horizon = Payload::read(br#"{"pushedAt":"1700000000.1234","attempts":"1","job":"x","data":[]}"#).unwrap();
        assert_eq!(horizon.created_at(), Some(Timestamp(1_700_000_000_000)));
        assert!(horizon.is_job());
        for bad in [&b"[1]"[..], b"1", b"", b"{", b"\xff", b"{\"a\":1}x"] {
            assert!(Payload::read(bad).is_none());
        }
    }

    #[test]
    fn r22_a_change_leaves_every_other_byte_alone() {
        let payload = Payload::read(JOB.as_bytes()).unwrap();
        let changed = payload.with(&[("attempts", "0".to_owned()), ("retryUntil", "17".to_owned())]);
        let expected =
            JOB.replace("\"attempts\" : 2 ", "\"attempts\" : 0 ").replace("\"retryUntil\":null", "\"retryUntil\":17");
        assert_eq!(String::from_utf8(changed).unwrap(), expected);
        let added = Payload::read(b" {\"a\":1}").unwrap().with(&[("attempts", "0".to_owned())]);
        assert_eq!(added, b" {\"attempts\":0,\"a\":1}");
        assert_eq!(Payload::read(b"{}").unwrap().with(&[("a", "1".to_owned())]), b"{\"a\":1}");
    }

    #[test]
    fn a_copy_has_new_identities_and_no_attempts() {
        let payload = Payload::read(JOB.as_bytes()).unwrap();
        let (id, bytes) = copy_of(&payload);
        let copy = Payload::read(&bytes).unwrap();
        assert_eq!(copy.id(), Some(id.clone()));
        assert_ne!(id, "u-1");
        assert_eq!((id.len(), copy.text("id").unwrap().len()), (36, 32));
        assert_eq!(copy.count("attempts"), Some(0));
        assert_eq!(copy.command(), payload.command());
    }

    #[test]
    fn a_batch_is_found_where_each_version_keeps_it() {
        let uuid = "9a0a6f0e-5d0d-4b8e-9d52-000000000001";
        let new = format!(r#"{{"data":{{"batchId":"{uuid}"}}}}"#);
        assert_eq!(Payload::read(new.as_bytes()).unwrap().batch().as_deref(), Some(uuid));
        let old = format!(r#"{{"data":{{"command":"O:1:\"J\":1:{{s:7:\"batchId\";s:36:\"{uuid}\";}}"}}}}"#);
        assert_eq!(Payload::read(old.as_bytes()).unwrap().batch().as_deref(), Some(uuid));
    }
}
