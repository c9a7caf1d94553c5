//! Names of things. Ids that come from Redis are opaque bytes: they are compared and shown, never parsed.

use std::fmt;
use std::sync::Arc;

/// Bytes from Redis used as a name: a key prefix, a queue name, a job id, a worker name.
///
/// Cheap to clone. Not necessarily UTF-8; `Display` replaces what is not, and makes nothing safe for a terminal
/// (see [`crate::domain::text::harmless`]).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Name(Arc<[u8]>);

impl Name {
    /// The exact bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, invalid UTF-8 replaced by U+FFFD.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// The bytes that may stand in the name of a connection: the server takes visible ASCII only.
    pub fn visible(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.iter().copied().filter(u8::is_ascii_graphic)
    }

    /// True if there is no byte at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&[u8]> for Name {
    fn from(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }
}

impl From<Vec<u8>> for Name {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::from(bytes))
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(Arc::from(text.as_bytes()))
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(Arc::from(text.into_bytes()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// A queue system's name as written in addresses and configuration, for example `bullmq`.
pub type SystemName = &'static str;

/// One Redis deployment, by the name it has in the configuration (or one made from its URL without secrets).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub Arc<str>);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One system found on one server under one prefix or namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId {
    /// The system's name, for example `bullmq`.
    pub system: SystemName,
    /// Prefix or namespace as the system uses it, for example `bull` or `app:prod`. May be empty.
    pub name: Name,
}

/// One queue of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId {
    /// Where it was found.
    pub instance: InstanceId,
    /// The queue's own name, without the prefix.
    pub name: Name,
}

impl QueueId {
    /// Shorthand used by adapters and tests.
    pub fn new(system: SystemName, instance: impl Into<Name>, queue: impl Into<Name>) -> Self {
        Self { instance: InstanceId { system, name: instance.into() }, name: queue.into() }
    }

    /// The address without the instance, `SYSTEM:NAME`.
    pub fn short_address(&self) -> String {
        format!("{}:{}", self.instance.system, encode(self.name.as_bytes(), b""))
    }

    /// The address that is always exact, `SYSTEM@INSTANCE:NAME`.
    pub fn full_address(&self) -> String {
        let instance = encode(self.instance.name.as_bytes(), b":@");
        format!("{}@{}:{}", self.instance.system, instance, encode(self.name.as_bytes(), b""))
    }

    /// The shortest address that is still exact: the instance is named only if its system has several.
    pub fn address(&self, system_has_several_instances: bool) -> String {
        if system_has_several_instances { self.full_address() } else { self.short_address() }
    }
}

/// Percent-encodes control bytes, `%`, invalid UTF-8 and the bytes of `also`; the rest stays readable.
fn encode(bytes: &[u8], also: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let special = c == '%' || c.is_control() || (c.is_ascii() && also.contains(&(c as u8)));
            if special {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    out.push_str(&format!("%{byte:02X}"));
                }
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A job's id inside its queue.
pub type JobId = Name;

/// One job of one queue; what a selection, a mark or a mutation points at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobRef {
    /// The queue it belongs to.
    pub queue: QueueId,
    /// Its id there.
    pub id: JobId,
}

/// Identifies one request to the fetcher; an answer with an older ticket than the last asked is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Ticket(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_the_instance_only_when_needed() {
        let queue = QueueId::new("bullmq", "app:prod", "mail");
        assert_eq!(queue.address(false), "bullmq:mail");
        assert_eq!(queue.address(true), "bullmq@app%3Aprod:mail");
    }

    #[test]
    fn s15_odd_names_stay_printable_and_distinct() {
        let odd = [&b"a\nb"[..], b"a%0Ab", b"a\xffb", b"a b", b"{t}:*"];
        let mut seen: Vec<_> = odd.iter().map(|name| QueueId::new("list", "", *name).full_address()).collect();
        assert_eq!(seen[0], "list@:a%0Ab");
        assert_eq!(seen[1], "list@:a%250Ab");
        assert!(seen.iter().all(|address| !address.chars().any(char::is_control)));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), odd.len());
    }
}
