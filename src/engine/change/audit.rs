//! The audit file: one line of JSON before a change is sent, one when its outcome is known (S19).

use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ChangeError, Places, file_error, private_directory, private_file};

/// One line. The line of the beginning and that of the end have the same `run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Joins the two lines of one change.
    pub run: String,
    /// RFC 3339, UTC, by the local clock.
    pub time: String,
    /// `begun`, `done`, `stopped` or `failed`.
    pub phase: String,
    /// Who.
    pub operator: String,
    /// On which machine.
    pub host: String,
    /// Which server, by its configured name.
    pub server: String,
    /// Full address of the queue.
    pub queue: String,
    /// The verb.
    pub action: String,
    /// The ids if there are few, else the first of them.
    pub ids: Vec<String>,
    /// How many ids.
    pub count: u64,
    /// Done, refused, unknown; absent in the line of the beginning.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<Counts>,
    /// What undoes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub undo: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

/// Numbers of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Counts {
    /// Done.
    pub done: u64,
    /// Refused.
    pub refused: u64,
    /// Sent without an answer, and the truth could not be read back.
    pub unknown: u64,
}

/// Ids named in full in a line.
pub const NAMED: usize = 20;

/// The audit file of this user.
#[derive(Clone, Debug)]
pub struct Audit {
    path: PathBuf,
}

impl Audit {
    /// `audit.jsonl` in the state directory.
    pub fn new(places: &Places) -> Self {
        Self { path: places.state.join("audit.jsonl") }
    }

    /// Appends a line and waits until it is on disk. If that fails, the change must not be sent.
    pub fn write(&self, entry: &Entry) -> Result<(), ChangeError> {
        if let Some(directory) = self.path.parent() {
            private_directory(directory)?;
        }
        let mut line = serde_json::to_vec(entry).expect("an entry is made of strings and numbers");
        line.push(b'\n');
        let mut file =
            private_file().append(true).create(true).open(&self.path).map_err(file_error("cannot open", &self.path))?;
        // One write call, so that two qtops never mix their lines.
        file.write_all(&line).map_err(file_error("cannot write", &self.path))?;
        file.sync_data().map_err(file_error("cannot write", &self.path))
    }

    /// The last `count` lines, oldest first. Lines that cannot be read are left out and counted.
    pub fn last(&self, count: usize) -> Result<(Vec<Entry>, usize), ChangeError> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
            Err(cause) => return Err(file_error("cannot read", &self.path)(cause)),
        };
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.len().saturating_sub(count);
        let mut entries = Vec::with_capacity(lines.len() - first);
        let mut odd = 0;
        for line in &lines[first..] {
            match serde_json::from_str(line) {
                Ok(entry) => entries.push(entry),
                Err(_) => odd += 1,
            }
        }
        Ok((entries, odd))
    }
}

/// Who sits here: the login name and the machine's name, as far as the environment tells.
pub fn operator() -> (String, String) {
    let first =
        |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let user = first(&["SUDO_USER", "USER", "LOGNAME", "USERNAME"]).unwrap_or_else(|| "unknown".to_owned());
    let host = first(&["HOSTNAME", "COMPUTERNAME"])
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok().map(|name| name.trim().to_owned()))
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned());
    (user, host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(run: &str) -> Entry {
        Entry {
            run: run.to_owned(),
            time: "2026-01-02T03:04:05Z".to_owned(),
            phase: "begun".to_owned(),
            operator: "ada".to_owned(),
            host: "laptop".to_owned(),
            server: "prod".to_owned(),
            queue: "bullmq@bull:mail".to_owned(),
            action: "retry".to_owned(),
            ids: vec!["1\n2".to_owned()],
            count: 1,
            outcome: None,
            undo: None,
            error: None,
        }
    }

    #[test]
    fn s19_lines_are_appended_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places { state: directory.path().join("state"), trash_cap: 1 };
        let audit = Audit::new(&places);
        assert_eq!(audit.last(10).unwrap(), (vec![], 0));
        audit.write(&entry("a")).unwrap();
        audit.write(&entry("b")).unwrap();
        let (entries, odd) = audit.last(1).unwrap();
        assert_eq!((entries, odd), (vec![entry("b")], 0));
        assert_eq!(std::fs::read_to_string(places.state.join("audit.jsonl")).unwrap().lines().count(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn s17_the_file_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let places = Places { state: directory.path().join("state"), trash_cap: 1 };
        Audit::new(&places).write(&entry("a")).unwrap();
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(places.state.join("audit.jsonl")), 0o600);
        assert_eq!(mode(places.state), 0o700);
    }
}
