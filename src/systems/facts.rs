//! Facts about an item, read from its JSON document, its record or a hash by the paths of the description.

use std::borrow::Cow;

use bytes::Bytes;

use crate::domain::described::{Fields, Paths, TimeField, split_path};
use crate::domain::job::{Blob, JobRow, Progress};
use crate::domain::payload::{Key, Kind, Limits, NodeRef, Payload, Tree};
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

/// The text a path leads to. A string on the way that is itself a document (JSON, a Python literal) is read too; `-1`
/// is the last item of a sequence.
fn follow<'a>(tree: &'a Tree, steps: &[String], left: usize) -> Option<Cow<'a, str>> {
    let mut node = tree.root()?;
    for (done, step) in steps.iter().enumerate() {
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
                let inner = document(&Bytes::from(node.text().into_owned().into_bytes()), 0)?;
                return follow(&inner, &steps[done..], left - 1).map(|text| Cow::Owned(text.into_owned()));
            }
            None => return None,
        }
    }
    match node.kind() {
        Kind::Null => None,
        _ if node.is_container() => Some(Cow::Owned(format!("{} values", node.child_count()))),
        _ => Some(node.text()),
    }
}

/// The text at a path inside a document.
pub fn text_at(tree: &Tree, steps: &[String]) -> Option<String> {
    follow(tree, steps, EMBEDDED).map(Cow::into_owned)
}

/// What stands at a path, as JSON; names of `except` are left out of it. A string that is itself a document is read.
pub fn json_at(tree: &Tree, steps: &[String], except: &Paths) -> Option<String> {
    embedded(tree, steps, except, EMBEDDED)
}

fn embedded(tree: &Tree, steps: &[String], except: &Paths, left: usize) -> Option<String> {
    let mut node = tree.root()?;
    for (done, step) in steps.iter().enumerate() {
        match node.get(step) {
            Some(next) => node = next,
            None if node.kind() == Kind::String && left > 0 => {
                let inner = document(&Bytes::from(node.text().into_owned().into_bytes()), 0)?;
                return embedded(&inner, &steps[done..], except, left - 1);
            }
            None => return None,
        }
    }
    if node.kind() == Kind::String
        && left > 0
        && let Some(inner) = document(&Bytes::from(node.text().into_owned().into_bytes()), 0)
    {
        return embedded(&inner, &[], except, left - 1);
    }
    Some(json_of(node, except).to_string())
}

/// A value as JSON. The tree's own limit of depth bounds the recursion.
fn json_of(node: NodeRef<'_>, except: &Paths) -> serde_json::Value {
    match node.kind() {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool => serde_json::Value::Bool(node.text() == "true"),
        Kind::Number => serde_json::from_str(&node.text()).unwrap_or(serde_json::Value::Null),
        Kind::Seq => node.children().map(|(_, child)| json_of(child, &Paths::default())).collect(),
        Kind::Map => {
            let name = |key: Key<'_>| match key {
                Key::Name(name) => name.into_owned(),
                Key::Index(place) => place.to_string(),
                Key::Root => String::new(),
            };
            let members = node.children().map(|(key, child)| (name(key), child));
            let kept = members.filter(|(name, _)| except.iter().all(|out| out != name));
            let map = kept.map(|(name, child)| (name, json_of(child, &Paths::default()))).collect();
            serde_json::Value::Object(map)
        }
        Kind::String | Kind::Bytes | Kind::Extension => serde_json::Value::String(node.text().into_owned()),
    }
}

impl Source<'_> {
    /// The text of the first path that leads to a value other than null.
    pub fn text(&self, paths: &Paths) -> Option<String> {
        paths.iter().find_map(|path| match self {
            Self::Document(tree) => follow(tree, &split_path(path), EMBEDDED).map(Cow::into_owned),
            Self::Hash(fields) => {
                let field = |name: &[u8]| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value);
                if let Some(value) = field(path.as_bytes()) {
                    return Some(String::from_utf8_lossy(value).into_owned());
                }
                let (name, rest) = path.split_once('.')?;
                let bytes = Bytes::copy_from_slice(field(name.as_bytes())?);
                let inner = document(&bytes, bytes.len() as u64)?;
                follow(&inner, &split_path(rest), EMBEDDED).map(Cow::into_owned)
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
        self.text(paths)?.trim().trim_end_matches('%').parse::<f64>().ok().filter(|number| number.is_finite())
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
        names.extend(path.split_once('.').map(|(first, _)| first));
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
        assert_eq!(hash_names(["a.b", "a", "c"].into_iter()), ["a", "a.b", "c"]);
    }

    #[test]
    fn a_cut_document_still_tells_what_it_has() {
        let json = Bytes::from_static(br#"{"id":"a","payload":"aaaaaaaaa"#);
        let tree = document(&json, 5_000_000).unwrap();
        assert_eq!(Source::Document(&tree).text(&"id".into()).as_deref(), Some("a"));
    }
}
