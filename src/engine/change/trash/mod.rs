//! The local trash: full records of what is about to be deleted, compressed, on disk before the delete is sent.
//!
//! One file for each change, named by its undo token. A file is a run of gzip members, one for each piece, of JSON
//! lines: the first line of the first member says what the change was, each further line is a record. A member that
//! was cut off by a crash belongs to a delete that was never sent, so reading stops there without harm.

mod file;
mod line;
mod sent;

use std::path::{Path, PathBuf};

use super::hold::Hold;
use super::{ChangeError, Places, file_error, private_directory};

pub use file::{Header, Pieces, Reader, Writer};
pub use sent::{Sent, Standing};

/// A file of the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The undo token.
    pub token: String,
    /// What it is about.
    pub header: Header,
    /// Bytes on disk.
    pub bytes: u64,
}

/// The trash of this user.
#[derive(Clone, Debug)]
pub struct Trash {
    directory: PathBuf,
    cap: u64,
}

const ENDING: &str = "jsonl.gz";

/// What replaces the `gz` where an undo notes what it has sent.
const SENT: &str = "sent";

fn delete(path: &Path) -> Result<(), ChangeError> {
    let file = std::fs::File::open(path).map_err(file_error("cannot open", path))?;
    let _hold = Hold::of(&file, path)?;
    std::fs::remove_file(path).map_err(file_error("cannot delete", path))?;
    let sent = path.with_extension(SENT);
    if sent.exists() {
        std::fs::remove_file(&sent).map_err(file_error("cannot delete", &sent))?;
    }
    Ok(())
}

impl Trash {
    /// The directory `trash` in the state directory.
    pub fn new(places: &Places) -> Self {
        Self { directory: places.state.join("trash"), cap: places.trash_cap }
    }

    /// Bytes on disk.
    pub fn used(&self) -> Result<u64, ChangeError> {
        Ok(self.files()?.iter().map(|(_, bytes)| bytes).sum())
    }

    /// What to tell before the trash is full; nothing while there is room.
    pub fn warning(&self) -> Option<String> {
        let used = self.used().ok()?;
        (used >= self.cap / 5 * 4).then(|| {
            format!(
                "the trash holds {used} of {cap} bytes; at {cap} nothing more is deleted: make room with `qtop trash \
                 empty`, or raise trash.cap in the configuration",
                cap = self.cap
            )
        })
    }

    /// Begins a file. `token` must be new; tokens sort by time.
    pub fn begin(&self, token: &str, header: &Header) -> Result<Writer, ChangeError> {
        private_directory(&self.directory)?;
        let path = self.path(token);
        Writer::begin(path, header, self.cap, self.used()?)
    }

    /// All files, newest first. One that cannot be read is left out.
    pub fn list(&self) -> Result<Vec<Item>, ChangeError> {
        let mut items: Vec<Item> = self
            .files()?
            .into_iter()
            .filter_map(|(path, bytes)| {
                let token = path.file_name()?.to_str()?.strip_suffix(ENDING)?.strip_suffix('.')?.to_owned();
                let header = Reader::open(&path).ok()?.header;
                Some(Item { token, header, bytes })
            })
            .collect();
        items.sort_by(|a, b| b.token.cmp(&a.token));
        Ok(items)
    }

    /// Opens a file for reading; `None`: the newest.
    pub fn open(&self, token: Option<&str>) -> Result<(String, Reader), ChangeError> {
        let token = match token {
            Some(token) => token.to_owned(),
            None => self.list()?.into_iter().next().ok_or_else(|| ChangeError::NoToken("newest".to_owned()))?.token,
        };
        let path = self.path(&token);
        // A token is a plain name: nothing outside the trash can be opened by it.
        if token.contains(['/', '\\', '.']) || !path.exists() {
            return Err(ChangeError::NoToken(token));
        }
        Ok((token, Reader::open(&path)?))
    }

    /// What an undo of this file has sent so far.
    pub fn sent(&self, token: &str) -> Result<Sent, ChangeError> {
        Sent::open(self.path(token).with_extension(SENT))
    }

    /// Deletes one file, for good.
    pub fn discard(&self, token: &str) -> Result<(), ChangeError> {
        delete(&self.path(token))
    }

    /// Deletes everything, for good; returns the number of files.
    pub fn empty(&self) -> Result<usize, ChangeError> {
        let files = self.files()?;
        for (path, _) in &files {
            delete(path)?;
        }
        Ok(files.len())
    }

    fn path(&self, token: &str) -> PathBuf {
        self.directory.join(format!("{token}.{ENDING}"))
    }

    fn files(&self) -> Result<Vec<(PathBuf, u64)>, ChangeError> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(file_error("cannot read", &self.directory)(cause)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(file_error("cannot read", &self.directory))?;
            let path = entry.path();
            if path.to_string_lossy().ends_with(ENDING) {
                let bytes = entry.metadata().map_err(file_error("cannot read", &path))?.len();
                files.push((path, bytes));
            }
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::QueueId;
    use crate::domain::record::{KeyDump, Place, Record};

    fn record(id: &str) -> Record {
        Record {
            id: id.into(),
            state: None,
            keys: vec![KeyDump { key: "k".into(), dump: vec![0, 255, 10], expires_at: 7 }],
            places: vec![
                Place::List { key: "l".into(), element: id.into(), right: Some("".into()), left: None },
                Place::Sorted { key: "z".into(), member: id.into(), score: "1.5".to_owned() },
                Place::Member { key: "s".into(), member: id.into() },
                Place::Field { key: "h".into(), field: "f".into(), value: vec![1, 2] },
                Place::Edited { key: "r".into(), paths: vec!["a.b".to_owned()], old: b"{\xff}".to_vec() },
                Place::Entry { key: "x".into(), entry: "1-0".into(), fields: vec![b"k".to_vec(), vec![0, 255]] },
                Place::Delivered {
                    key: "x".into(),
                    group: "g".into(),
                    entry: "1-0".into(),
                    consumer: "c".into(),
                    at: 17,
                    deliveries: 3,
                },
            ],
        }
    }

    fn trash(directory: &tempfile::TempDir, cap: u64) -> Trash {
        Trash::new(&Places { state: directory.path().to_owned(), trash_cap: cap })
    }

    fn header() -> Header {
        Header::new("2026-01-02T03:04:05Z".to_owned(), "prod".to_owned(), &QueueId::new("list", "", "q"), "remove")
    }

    #[test]
    fn records_come_back_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        let trash = trash(&directory, 1 << 20);
        let mut writer = trash.begin("20260102-1", &header()).unwrap();
        writer.append(&[record("a"), record("b")]).unwrap();
        writer.append(&[record("c")]).unwrap();
        drop(writer);
        let (token, reader) = trash.open(None).unwrap();
        assert_eq!((token.as_str(), &reader.header), ("20260102-1", &header()));
        let mut pieces = reader.pieces().unwrap();
        assert_eq!(pieces.count(), 2);
        assert_eq!(pieces.read(1).unwrap(), [record("c")]);
        assert_eq!(pieces.read(0).unwrap(), [record("a"), record("b")]);
    }

    #[test]
    fn a_piece_cut_off_by_a_crash_does_not_spoil_those_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let trash = trash(&directory, 1 << 20);
        let mut writer = trash.begin("t", &header()).unwrap();
        writer.append(&[record("a")]).unwrap();
        writer.append(&[record("b")]).unwrap();
        drop(writer);
        let path = trash.path("t");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        let mut pieces = trash.open(Some("t")).unwrap().1.pieces().unwrap();
        assert_eq!(pieces.count(), 1);
        assert_eq!(pieces.read(0).unwrap(), [record("a")]);
    }

    #[test]
    fn nothing_is_taken_beyond_the_cap() {
        let directory = tempfile::tempdir().unwrap();
        let trash = trash(&directory, 300);
        let mut writer = trash.begin("t", &header()).unwrap();
        let many: Vec<Record> = (0..50).map(|n| record(&n.to_string())).collect();
        assert!(matches!(writer.append(&many), Err(ChangeError::TrashFull { .. })));
    }

    #[test]
    fn the_cap_is_warned_of_before_it_is_reached() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(trash(&directory, 1 << 20).warning(), None);
        let mut writer = trash(&directory, 1 << 20).begin("t", &header()).unwrap();
        writer.append(&[record("a")]).unwrap();
        let used = trash(&directory, 1).used().unwrap();
        assert!(trash(&directory, used + used / 10).warning().unwrap().contains("trash.cap"));
        assert_eq!(trash(&directory, used * 2).warning(), None);
    }

    #[test]
    fn a_token_names_nothing_outside_the_trash() {
        let directory = tempfile::tempdir().unwrap();
        let trash = trash(&directory, 300);
        assert!(matches!(trash.open(Some("../audit")), Err(ChangeError::NoToken(_))));
        assert!(matches!(trash.open(None), Err(ChangeError::NoToken(_))));
    }
}
