//! Facts about an item, read from its JSON document, its record or a hash by the paths of the description.

use std::borrow::Cow;

use bytes::Bytes;

use crate::domain::described::{Fields, Paths, TimeField, split_path};
use crate::domain::job::{Blob, JobRow, Progress};
use crate::domain::payload::{Limits, Payload, Tree};
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

impl Source<'_> {
    /// The text of the first path that leads to a value other than null.
    pub fn text(&self, paths: &Paths) -> Option<String> {
        paths.iter().find_map(|path| match self {
            Self::Document(tree) => {
                let node = tree.at(&split_path(path))?;
                let text = match node.kind() {
                    crate::domain::payload::Kind::Null => return None,
                    _ if node.is_container() => Cow::Owned(format!("{} values", node.child_count())),
                    _ => node.text(),
                };
                Some(text.into_owned())
            }
            Self::Hash(fields) => {
                let wanted = fields.iter().find(|(name, _)| name == path.as_bytes())?;
                Some(String::from_utf8_lossy(&wanted.1).into_owned())
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

/// A JSON document, packed or not, perhaps only its beginning. `None` if it is something else.
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
    fn a_cut_document_still_tells_what_it_has() {
        let json = Bytes::from_static(br#"{"id":"a","payload":"aaaaaaaaa"#);
        let tree = document(&json, 5_000_000).unwrap();
        assert_eq!(Source::Document(&tree).text(&"id".into()).as_deref(), Some("a"));
    }
}
