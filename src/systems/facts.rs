//! Facts about an item, read from its JSON document, its record or a hash by the paths of the description.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use crate::domain::described::{Decoder, Fields, Paths, TimeField, decoder, split_path};
use crate::domain::job::{Blob, JobRow, Progress};
use crate::domain::payload::{Format, Kind, Limits, NodeRef, Payload, Tree};
use crate::domain::text::first_line;
use crate::domain::time::Timestamp;

/// Characters of an error that a row carries.
const ERROR_CHARACTERS: usize = 500;

/// Something with named values.
pub enum Source<'a> {
    /// A document; names are dotted paths.
    Document(&'a Tree),
    /// Fields of a hash; names are field names.
    Hash(&'a [(Vec<u8>, Vec<u8>)]),
}

/// Documents inside the strings of documents that are looked into.
const EMBEDDED: usize = 4;

/// The node a path leads to, or the one inside a document that a string on the way is: found out, or as a decoder in the
/// path says. `-1` is the last item of a sequence. `use_node` takes what is there from the node.
fn follow<T>(tree: &Tree, steps: &[String], left: usize, use_node: &dyn Fn(NodeRef<'_>) -> Option<T>) -> Option<T> {
    let mut node = tree.root()?;
    for (done, step) in steps.iter().enumerate() {
        let text = || node.text().into_owned().into_bytes();
        if decoder(step).is_some() {
            if left == 0 || node.is_container() {
                return None;
            }
            let (inner, used) = decoded(text(), &steps[done..])?;
            return follow(&inner, &steps[done + used..], left - 1, use_node);
        }
        let next = match step.parse::<usize>() {
            Err(_) if step.starts_with('-') && node.kind() == Kind::Seq => {
                let back = step[1..].parse::<usize>().ok()?;
                node.child_count().checked_sub(back).and_then(|place| node.get(&place.to_string()))
            }
            _ => node.get(step),
        };
        match next {
            Some(next) => node = next,
            None if node.kind() == Kind::String && left > 0 => {
                let inner = document(&Bytes::from(text()), 0)?;
                return follow(&inner, &steps[done..], left - 1, use_node);
            }
            None => return None,
        }
    }
    use_node(node)
}

/// Bytes read by the decoders at the beginning of these steps, and how many of those there are.
fn decoded(mut bytes: Vec<u8>, steps: &[String]) -> Option<(Tree, usize)> {
    let decoders = steps.iter().map_while(|step| decoder(step));
    let mut used = 0;
    for how in decoders {
        used += 1;
        let format = match how.ok()? {
            Decoder::Base64 => {
                bytes = BASE64_STANDARD.decode(bytes.trim_ascii()).ok()?;
                continue;
            }
            Decoder::Json => Format::Json,
            Decoder::Python => Format::Python,
            Decoder::Php => Format::Php,
            Decoder::Pickle => Format::Pickle,
            Decoder::Msgpack => Format::Msgpack,
        };
        return Some((Payload::read_as(format, &bytes.into(), &Limits::default())?, used));
    }
    let total = bytes.len() as u64;
    Some((document(&bytes.into(), total)?, used))
}

fn shown(node: NodeRef<'_>) -> Option<String> {
    match node.kind() {
        Kind::Null => None,
        _ if node.is_container() => Some(format!("{} values", node.child_count())),
        _ => Some(node.text().into_owned()),
    }
}

/// The text at a path inside a document.
pub fn text_at(tree: &Tree, steps: &[String]) -> Option<String> {
    follow(tree, steps, EMBEDDED, &shown)
}

/// What stands at a path, as JSON; names of `except` are left out of it. A string that is itself a document is read.
pub fn json_at(tree: &Tree, steps: &[String], except: &Paths) -> Option<String> {
    let leave_out = |name: &str| except.iter().any(|out| out == name);
    follow(tree, steps, EMBEDDED, &|node| {
        let inner = (node.kind() == Kind::String).then(|| Bytes::from(node.text().into_owned().into_bytes()));
        let inner = inner.and_then(|text| document(&text, 0));
        let root = inner.as_ref().and_then(Tree::root).filter(|root| root.is_container());
        Some(root.unwrap_or(node).to_json(leave_out))
    })
}

impl Source<'_> {
    /// The text of the first path that leads to a value other than null.
    pub fn text(&self, paths: &Paths) -> Option<String> {
        paths.iter().find_map(|path| match self {
            Self::Document(tree) => text_at(tree, &split_path(path)),
            Self::Hash(fields) => {
                let field = |name: &[u8]| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value);
                if let Some(value) = field(path.as_bytes()) {
                    return Some(String::from_utf8_lossy(value).into_owned());
                }
                let steps = split_path(path);
                let (name, rest) = steps.split_first()?;
                let bytes = field(name.as_bytes())?;
                let (inner, used) = if rest.first().is_some_and(|step| decoder(step).is_some()) {
                    decoded(bytes.clone(), rest)?
                } else {
                    (document(&Bytes::copy_from_slice(bytes), bytes.len() as u64)?, 0)
                };
                text_at(&inner, &rest[used..])
            }
        })
    }

    /// A whole number that is not negative.
    pub fn count(&self, paths: &Paths) -> Option<u64> {
        let number = self.number(paths)?;
        (0.0..1e15).contains(&number).then_some(number as u64)
    }

    /// Any number.
    pub fn number(&self, paths: &Paths) -> Option<f64> {
        self.text(paths)?.trim().trim_end_matches(['%', ' ']).parse::<f64>().ok().filter(|number| number.is_finite())
    }

    /// A moment.
    pub fn moment(&self, field: &TimeField) -> Option<Timestamp> {
        field.unit.read(&self.text(&field.path)?)
    }

    /// Progress by its four paths; `None` if none of them leads anywhere.
    pub fn progress(&self, percent: &Paths, step: &Paths, total: &Paths, text: &Paths) -> Option<Progress> {
        let mut progress = Progress {
            percent: self.number(percent).map(|percent| percent.clamp(0.0, 100.0)),
            step: self.count(step),
            total: self.count(total),
            text: self.text(text).map(|text| first_line(&text, ERROR_CHARACTERS)),
        };
        if progress == Progress::default() {
            return None;
        }
        if let (None, Some(step), Some(total)) = (progress.percent, progress.step, progress.total)
            && total > 0
        {
            progress.percent = Some((step as f64 * 100.0 / total as f64).min(100.0));
        }
        Some(progress)
    }

    /// Puts everything the description finds here into a row.
    pub fn describe(&self, fields: &Fields, row: &mut JobRow) {
        row.name = self.text(&fields.name).map(|name| first_line(&name, ERROR_CHARACTERS));
        row.attempts_made = self.count(&fields.attempts);
        row.attempts_max = self.count(&fields.attempts_max).or(row.attempts_max);
        row.priority = self.number(&fields.priority).map(|priority| priority as i64).or(row.priority);
        row.created_at = self.moment(&fields.created);
        row.started_at = self.moment(&fields.started);
        row.finished_at = self.moment(&fields.finished);
        row.run_at = self.moment(&fields.due).or(row.run_at);
        row.worker = self.text(&fields.worker).or(row.worker.take());
        row.error =
            self.text(&fields.error).map(|error| first_line(&error, ERROR_CHARACTERS)).filter(|e| !e.is_empty());
        row.progress = self.progress(&fields.percent, &fields.step, &fields.total, &fields.text);
    }
}

/// Names to ask a hash for: those of the paths, and where a path has several steps the field with a document.
pub fn hash_names<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for path in paths {
        names.push(path);
        names.extend(path.split_once(['.', '|']).map(|(first, _)| first));
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// A document of any format that has values, packed or not, perhaps only its beginning. `None` if it is something else.
pub fn document(bytes: &Bytes, total: u64) -> Option<Tree> {
    let blob = Blob { bytes: bytes.clone(), total };
    Payload::read(&blob, &Limits::default()).tree
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::state::{StateId, StateKind};

    #[test]
    fn fields_are_found_by_their_alternatives_in_documents_and_hashes() {
        let fields = Fields {
            name: Paths(vec!["kind".into(), "data.type".into()]),
            attempts: "tries".into(),
            created: TimeField { path: "at".into(), ..TimeField::default() },
            step: "progress.step".into(),
            total: "progress.of".into(),
            error: "last.error".into(),
            ..Fields::default()
        };
        let json = Bytes::from_static(
            br#"{"kind":null,"data":{"type":"mail"},"tries":"3","at":1700000000,"progress":{"step":5,"of":25},"last":{"error":"no\nroute"}}"#,
        );
        let tree = document(&json, json.len() as u64).unwrap();
        let mut row = JobRow::bare("1", StateId("waiting"), StateKind::Waiting);
        Source::Document(&tree).describe(&fields, &mut row);
        assert_eq!(row.name.as_deref(), Some("mail"));
        assert_eq!(row.attempts_made, Some(3));
        assert_eq!(row.created_at, Some(Timestamp(1_700_000_000_000)));
        assert_eq!(row.error.as_deref(), Some("no"));
        assert_eq!(row.progress.unwrap().percent, Some(20.0));
        let hash = [(b"kind".to_vec(), b"fax".to_vec()), (b"tries".to_vec(), b"-1".to_vec())];
        let mut row = JobRow::bare("1", StateId("waiting"), StateKind::Waiting);
        Source::Hash(&hash).describe(&fields, &mut row);
        assert_eq!(row.name.as_deref(), Some("fax"));
        assert_eq!((row.attempts_made, row.progress), (None, None));
    }

    #[test]
    fn paths_lead_into_documents_inside_strings() {
        let details = br#"{'to': 'x', 'content': "it's", 'function': 'send_message', 'n': [1, None]}"#.to_vec();
        let hash = [(b"job_details".to_vec(), details.clone()), (b"a.b".to_vec(), b"dotted".to_vec())];
        let source = Source::Hash(&hash);
        assert_eq!(source.text(&"job_details.function".into()).as_deref(), Some("send_message"));
        assert_eq!(source.text(&"job_details.n.0".into()).as_deref(), Some("1"));
        assert_eq!(source.text(&"a.b".into()).as_deref(), Some("dotted"));
        assert_eq!(source.text(&"job_details.nothing".into()), None);
        let json =
            serde_json::json!({ "job_details": String::from_utf8(details).unwrap(), "steps": [1, 2, {"p": 30}] });
        let tree = document(&Bytes::from(json.to_string().into_bytes()), 0).unwrap();
        let source = Source::Document(&tree);
        assert_eq!(source.text(&"job_details.content".into()).as_deref(), Some("it's"));
        assert_eq!(source.text(&"steps.-1.p".into()).as_deref(), Some("30"));
        assert_eq!(source.text(&"steps.-4.p".into()), None);
        let kwargs = json_at(&tree, &["job_details".to_owned()], &"function".into()).unwrap();
        assert_eq!(kwargs, r#"{"to":"x","content":"it's","n":[1,null]}"#);
        assert_eq!(hash_names(["a.b", "a", "c|json.x"].into_iter()), ["a", "a.b", "c", "c|json.x"]);
    }

    #[test]
    fn r22_what_is_taken_out_keeps_the_digits_of_its_numbers() {
        let tree =
            document(&Bytes::from_static(b"{'a': {'n': 18446744073709551616, 'f': 1.10, 'out': 1}}"), 0).unwrap();
        assert_eq!(json_at(&tree, &["a".to_owned()], &"out".into()).unwrap(), r#"{"n":18446744073709551616,"f":1.10}"#);
    }

    #[test]
    fn decoders_say_how_a_text_is_written() {
        // "{'to': 1}" and {"to": 2} in base64.
        let json = br#"{"p":"{'to': 'x'}","b":"eyJ0byI6IDJ9","list":"[1, 2]","odd|name":3}"#;
        let tree = document(&Bytes::from_static(json), 0).unwrap();
        let source = Source::Document(&tree);
        let text = |path: &str| source.text(&path.into());
        assert_eq!(text("p|python.to").as_deref(), Some("x"));
        assert_eq!(text("p|json.to"), None, "it is no JSON, whatever else it may be");
        assert_eq!(text("b|base64.to").as_deref(), Some("2"));
        assert_eq!(text("b|base64|json.to").as_deref(), Some("2"));
        assert_eq!(text("b|base64|php.to"), None);
        assert_eq!(text("b|json"), None);
        assert_eq!(text("list|json.1").as_deref(), Some("2"));
        assert_eq!(text(r"odd\|name").as_deref(), Some("3"));
        let hash = [(b"b".to_vec(), b"eyJ0byI6IDJ9".to_vec())];
        assert_eq!(Source::Hash(&hash).text(&"b|base64.to".into()).as_deref(), Some("2"));
        assert_eq!(json_at(&tree, &split_path("b|base64"), &Paths::default()).as_deref(), Some(r#"{"to":2}"#));
    }

    #[test]
    fn a_cut_document_still_tells_what_it_has() {
        let json = Bytes::from_static(br#"{"id":"a","payload":"aaaaaaaaa"#);
        let tree = document(&json, 5_000_000).unwrap();
        assert_eq!(Source::Document(&tree).text(&"id".into()).as_deref(), Some("a"));
    }
}
