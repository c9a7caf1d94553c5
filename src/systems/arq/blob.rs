//! Definitions and results as ARQ stores them, in whichever serializer the application gave it.
//!
//! A map whose keys are always in the same order: `t f a k et`, and for results `s r st ft q id` behind. So the start
//! tells the function, the end the times, and only `s` lies behind arguments of any length.

use bytes::Bytes;

use crate::domain::described::Meaning;
use crate::domain::job::Blob;
use crate::domain::payload::{Format, Kind, Limits, NodeRef, Payload, Tree};
use crate::domain::text;
use crate::domain::time::Timestamp;

/// Characters of an error that a row shows.
const ERROR_CHARS: usize = 500;

/// How the application writes maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Serializer {
    /// Python's pickle, ARQ's own choice.
    Pickle,
    /// MessagePack.
    Msgpack,
    /// JSON.
    Json,
}

impl Serializer {
    /// By the first byte of a definition or result.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x80, 2..=5, ..] => Some(Self::Pickle),
            [b'{' | b' ' | b'\n', ..] => Some(Self::Json),
            [0x80..=0x8f | 0xde, ..] => Some(Self::Msgpack),
            _ => None,
        }
    }

    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pickle => "pickle",
            Self::Msgpack => "MessagePack",
            Self::Json => "JSON",
        }
    }
}

/// What a definition or result tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// `f`.
    pub function: Option<String>,
    /// `t`: the try, where it is said.
    pub tries: Option<u64>,
    /// `et`.
    pub enqueued: Option<Timestamp>,
    /// `s`: it ended without an exception.
    pub success: Option<bool>,
    /// What a success means by a convention.
    pub meaning: Option<Meaning>,
    /// `r` of a failed one.
    pub error: Option<String>,
    /// `st`.
    pub started: Option<Timestamp>,
    /// `ft`.
    pub finished: Option<Timestamp>,
    /// `q`; older versions do not write it.
    pub queue: Option<String>,
}

impl Facts {
    /// Reads what `head`, the first bytes of `total`, and `tail`, the last ones, tell.
    pub fn read(head: &[u8], total: u64, tail: &[u8]) -> Self {
        Self::with_tree(head, total, tail).0
    }

    /// Likewise, with the values that the first bytes hold.
    pub fn with_tree(head: &[u8], total: u64, tail: &[u8]) -> (Self, Option<Tree>) {
        let mut facts = Self::default();
        let whole = head.len() as u64 >= total;
        let tree = tree(head, total);
        if let Some(tree) = &tree {
            facts.take(tree, whole);
        }
        if !whole {
            for key in ["st", "et"] {
                if let Some(end) = end_of_map(tail, key) {
                    facts.take(&end, true);
                    break;
                }
            }
        }
        (facts, tree)
    }

    fn take(&mut self, tree: &Tree, whole: bool) {
        let Some(root) = tree.root() else { return };
        let get = |key: &str| root.get(key);
        let string =
            |key: &str| get(key).filter(|node| node.kind() == Kind::String).map(|node| node.text().into_owned());
        let number = |key: &str| {
            let node = get(key).filter(|node| whole && node.kind() == Kind::Number)?;
            let text = node.text();
            text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|number| number as i64))
        };
        let time = |key: &str| number(key).map(Timestamp);
        self.function = string("f").or(self.function.take());
        self.tries = number("t").and_then(|tries| u64::try_from(tries).ok()).or(self.tries);
        // An unreadable definition leaves a result with the time 0.
        self.enqueued = time("et").filter(|time| time.0 > 0).or(self.enqueued);
        self.started = time("st").or(self.started);
        self.finished = time("ft").or(self.finished);
        self.queue = string("q").or(self.queue.take());
        if let Some(success) = get("s").filter(|node| node.kind() == Kind::Bool) {
            self.success = Some(success.text() == "true");
        }
        if self.success == Some(false) {
            self.error = get("r").map(said).or(self.error.take());
        }
    }

    /// It ended because somebody asked for it.
    pub fn is_aborted(&self) -> bool {
        self.success == Some(false) && self.error.as_deref().is_some_and(|error| error.contains("CancelledError"))
    }
}

/// The tree of a definition or result, or of its first bytes.
pub fn tree(bytes: &[u8], total: u64) -> Option<Tree> {
    let blob = Blob { bytes: Bytes::copy_from_slice(bytes), total };
    let payload = Payload::read(&blob, &Limits::default());
    let map = |tree: &Tree| tree.root().is_some_and(|root| root.kind() == Kind::Map);
    let known = matches!(payload.format, Format::Json | Format::Msgpack | Format::Pickle);
    payload.tree.filter(|tree| known && map(tree))
}

/// The entries of a map from `key` to its end, from the last bytes of the map.
fn end_of_map(tail: &[u8], key: &str) -> Option<Tree> {
    let last = |pattern: &[u8]| tail.windows(pattern.len()).rposition(|window| window == pattern);
    let rest = |at: usize, before: &[u8]| [before, &tail[at..]].concat();
    let short = [&[0x8c, key.len() as u8][..], key.as_bytes(), b"\x94"].concat();
    let long = [&[b'X', key.len() as u8, 0, 0, 0][..], key.as_bytes(), b"q"].concat();
    if let Some(at) = last(&short).or_else(|| last(&long)) {
        let pickle = rest(at, b"\x80\x04}(");
        return tree(&pickle, pickle.len() as u64);
    }
    let quoted = format!("\"{key}\"");
    if let Some(at) = last(quoted.as_bytes()) {
        let json = rest(at, b"{");
        return tree(&json, json.len() as u64);
    }
    let packed = [&[0xa0 | key.len() as u8][..], key.as_bytes()].concat();
    let at = last(&packed)?;
    // Four entries from `st` on, two where an older version wrote no queue and id; one from `et` on.
    [0x84, 0x82, 0x81].iter().find_map(|first| {
        let map = rest(at, &[*first]);
        tree(&map, map.len() as u64)
    })
}

/// An exception or other value in one line.
fn said(node: NodeRef<'_>) -> String {
    let whole = match node.kind() {
        Kind::Map => match node.get("(class)") {
            Some(class) => format!("{}{}", class.text(), arguments(node)),
            None => inside(node),
        },
        Kind::Seq => inside(node),
        _ => node.text_start(4 * ERROR_CHARS).0.into_owned(),
    };
    text::first_line(&whole, ERROR_CHARS)
}

fn arguments(node: NodeRef<'_>) -> String {
    let parts = node.get("(arguments)").into_iter().flat_map(NodeRef::children);
    let parts: Vec<String> = parts.take(8).map(|(_, part)| short(part)).collect();
    format!("({})", parts.join(", "))
}

fn inside(node: NodeRef<'_>) -> String {
    let parts: Vec<String> = node.children().take(8).map(|(_, part)| short(part)).collect();
    parts.join(", ")
}

fn short(node: NodeRef<'_>) -> String {
    if node.is_container() { "…".to_owned() } else { node.text_start(200).0.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_read_from_both_ends() {
        let args = "x".repeat(5_000);
        let json = format!(
            r#"{{"t":2,"f":"send","a":["{args}"],"k":{{}},"et":1700000000000,"s":false,"r":"boom","st":1700000000100,"ft":1700000000200,"q":"arq:queue","id":"7"}}"#
        );
        let whole = Facts::read(json.as_bytes(), json.len() as u64, b"");
        assert_eq!((whole.success, whole.error.as_deref(), whole.tries), (Some(false), Some("boom"), Some(2)));
        let ends = Facts::read(&json.as_bytes()[..1_000], json.len() as u64, &json.as_bytes()[json.len() - 200..]);
        assert_eq!((ends.function.as_deref(), ends.success), (Some("send"), None));
        assert_eq!((ends.started, ends.finished), (whole.started, whole.finished));
        assert_eq!(ends.queue.as_deref(), Some("arq:queue"));
    }

    #[test]
    fn the_serializer_is_told_by_the_first_byte() {
        assert_eq!(Serializer::of(b"\x80\x04\x95"), Some(Serializer::Pickle));
        assert_eq!(Serializer::of(b"\x85\xa1t"), Some(Serializer::Msgpack));
        assert_eq!(Serializer::of(b"{\"t\""), Some(Serializer::Json));
        assert_eq!(Serializer::of(b"\x1f\x8b"), None);
        assert_eq!(Serializer::of(b""), None);
    }
}
