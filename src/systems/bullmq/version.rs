//! Which BullMQ wrote a queue. `meta.version` names the library of the last `Queue` object opened, not of the workers,
//! so it is a hint: reading must be right for every version.

use std::sync::Arc;

/// Libraries of the same makers in other languages: the name they write, their first and last known major version, and
/// the major version of the Node library whose protocol that is. `scripts/common.lua` has the same table.
///
/// Seen in their sources: the Rust library 1.4.4 writes `bullmq-official:0.1.0`, and its scripts and those of the Python
/// library 3.4.4 leave waiting jobs in place on a pause, as 6.x does; the Python library 2.x still moved them.
pub const OTHERS: &[(&str, u64, u64, u64)] = &[
    ("bullmq-official", 0, 1, 6),
    ("bullmq:python", 3, 3, 6),
    ("bullmq:python", 1, 2, 5),
    ("bullmq-python", 3, 3, 6),
    ("bullmq-python", 1, 2, 5),
];

/// What `meta.version` says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Version {
    /// The number without the library's name, for example `6.7.0`.
    pub text: Option<Arc<str>>,
    major: Option<u64>,
}

impl Version {
    /// From the field as stored, for example `bullmq:6.7.0`. Libraries in other languages put their own name there
    /// (`bullmq-official:0.1.0`) with numbers of their own; [`OTHERS`] says which protocol those known speak.
    pub fn parse(field: &[u8]) -> Self {
        let field = String::from_utf8_lossy(field);
        let (library, number) = field.rsplit_once(':').unwrap_or(("", &*field));
        let number = number.trim();
        let major = number.split('.').next().and_then(|part| part.parse::<u64>().ok());
        if library == "bullmq" {
            return Self { text: (!number.is_empty()).then(|| number.into()), major };
        }
        let same = OTHERS
            .iter()
            .find(|(name, from, to, _)| *name == library && major.is_some_and(|major| (*from..=*to).contains(&major)));
        Self {
            text: (!field.is_empty()).then(|| field.replacen(':', " ", 1).into()),
            major: same.map(|(.., protocol)| *protocol),
        }
    }

    /// True if qtop knows how such a queue is changed. A queue that does not tell is taken to be what it looks like.
    pub fn is_known(&self) -> bool {
        self.text.is_none() || matches!(self.major, Some(4..=6))
    }

    /// Up to 5.x a pause renames `wait` to `paused`; from 6.0 on jobs stay in `wait`. Unknown counts as old, because
    /// then both lists are looked at.
    pub fn moves_jobs_on_pause(&self) -> bool {
        self.major.is_none_or(|major| major < 6)
    }

    /// 4.x wakes its workers by entries of `wait` that begin with `0:` and are no jobs.
    pub fn marks_in_wait(&self) -> bool {
        self.major.is_some_and(|major| major < 5)
    }

    /// For sentences: `BullMQ 6.7.0`, or that it is not known.
    pub fn spoken(&self) -> String {
        self.text.as_ref().map_or_else(|| "a BullMQ of unknown version".to_owned(), |text| format!("BullMQ {text}"))
    }
}

/// True for an entry of a waiting list that is a 4.x wake-up mark (`0:0`, `0:<ms>`) and no job.
pub fn is_mark(entry: &[u8]) -> bool {
    entry.strip_prefix(b"0:").is_some_and(|rest| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_read_from_the_node_library_only() {
        let six = Version::parse(b"bullmq:6.7.0");
        assert_eq!(six.text.as_deref(), Some("6.7.0"));
        assert!(!six.moves_jobs_on_pause() && !six.marks_in_wait());
        let four = Version::parse(b"bullmq:4.18.3");
        assert!(four.moves_jobs_on_pause() && four.marks_in_wait());
        let unknown = Version::default();
        assert!(unknown.moves_jobs_on_pause() && !unknown.marks_in_wait());
        assert_eq!(Version::parse(b"bullmq:").text, None);
        let other = Version::parse(b"bullmq-official:0.1.0");
        assert_eq!(other.text.as_deref(), Some("bullmq-official 0.1.0"));
        assert!(!other.moves_jobs_on_pause() && !other.marks_in_wait());
    }

    #[test]
    fn r23_known_libraries_of_the_same_protocol_can_be_changed_and_others_not() {
        for known in ["bullmq:4.0.0", "bullmq:6.7.0", "bullmq-official:1.4.4", "bullmq:python:3.4.4", ""] {
            assert!(Version::parse(known.as_bytes()).is_known(), "{known}");
        }
        assert!(Version::parse(b"bullmq:python:2.1.0").moves_jobs_on_pause());
        for unknown in ["bullmq:3.15.8", "bullmq:9.1.0", "bullmq-pro:7.8.0", "bullmq-official:2.0.0", "mine:6.1.0", "6"]
        {
            assert!(!Version::parse(unknown.as_bytes()).is_known(), "{unknown}");
        }
    }

    #[test]
    fn the_scripts_have_the_same_table() {
        let script = include_str!("scripts/common.lua");
        for (name, from, to, protocol) in OTHERS {
            let line = format!("{{ '{name}', {from}, {to}, {protocol} }}");
            assert!(script.contains(&line), "{line}");
        }
    }

    #[test]
    fn marks_are_told_from_jobs() {
        assert!(is_mark(b"0:0") && is_mark(b"0:1700000000000"));
        assert!(!is_mark(b"0") && !is_mark(b"0:") && !is_mark(b"0:x") && !is_mark(b"repeat:0:1"));
    }
}
