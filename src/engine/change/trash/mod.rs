//! The local trash: full records of what is about to be deleted, compressed, on disk before the delete is sent.
//!
//! One file for each change, named by its undo token; a change made in parts has a file for each, and their headers name
//! the token of the whole. A file is a run of gzip members, one for each piece, of JSON
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

/// What one change left in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The undo token.
    pub token: String,
    /// What it is about; of several files that of the newest, under the name of the whole change.
    pub header: Header,
    /// Bytes on disk.
    pub bytes: u64,
    /// Its files by name, in the order in which they are put back: what was deleted last comes first.
    pub files: Vec<String>,
}

impl Item {
    fn of_file(name: String, header: Header, bytes: u64) -> Self {
        Self { token: name.clone(), header, bytes, files: vec![name] }
    }

    /// Under the name of the change it is a part of.
    fn under_whole(mut self) -> Self {
        if let Some(whole) = &self.header.part_of {
            self.token.clone_from(&whole.token);
            self.header.action.clone_from(&whole.action);
        }
        self
    }
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

    /// What each change left, newest first. A file that cannot be read is left out.
    pub fn list(&self) -> Result<Vec<Item>, ChangeError> {
        let mut files: Vec<Item> = self
            .files()?
            .into_iter()
            .filter_map(|(path, bytes)| {
                let name = path.file_name()?.to_str()?.strip_suffix(ENDING)?.strip_suffix('.')?.to_owned();
                Some(Item::of_file(name, Reader::open(&path).ok()?.header, bytes))
            })
            .collect();
        files.sort_by(|a, b| b.token.cmp(&a.token));
        let mut items: Vec<Item> = Vec::with_capacity(files.len());
        for file in files.into_iter().map(Item::under_whole) {
            match items.iter_mut().find(|item| item.token == file.token) {
                Some(item) => {
                    item.bytes += file.bytes;
                    item.files.extend(file.files);
                }
                None => items.push(file),
            }
        }
        Ok(items)
    }

    /// What stands under a token: a whole change, or one file of it.
    pub fn find(&self, token: &str) -> Result<Item, ChangeError> {
        let path = self.path(token);
        // A token is a plain name: nothing outside the trash can be opened by it.
        if !token.contains(['/', '\\', '.']) && path.exists() {
            let bytes = std::fs::metadata(&path).map_err(file_error("cannot read", &path))?.len();
            return Ok(Item::of_file(token.to_owned(), Reader::open(&path)?.header, bytes));
        }
        let found = self.list()?.into_iter().find(|item| item.token == token);
        found.ok_or_else(|| ChangeError::NoToken(token.to_owned()))
    }

    /// The newest of a server.
    pub fn newest(&self, server: &str) -> Result<Item, ChangeError> {
        let found = self.list()?.into_iter().find(|item| item.header.server == server);
        found.ok_or_else(|| ChangeError::NoToken("newest".to_owned()))
    }

    /// Opens a file for reading.
    pub fn open(&self, file: &str) -> Result<Reader, ChangeError> {
        Reader::open(&self.path(file))
    }

    /// What an undo of this file has sent so far.
    pub fn sent(&self, file: &str) -> Result<Sent, ChangeError> {
        Sent::open(self.path(file).with_extension(SENT))
    }

    /// Deletes one file, for good.
    pub fn discard_file(&self, file: &str) -> Result<(), ChangeError> {
        delete(&self.path(file))
    }

    /// Deletes what one change left, for good.
    pub fn discard(&self, item: &Item) -> Result<(), ChangeError> {
        item.files.iter().try_for_each(|file| self.discard_file(file))
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
    use crate::domain::change::{Plan, Scope, Whole};
    use crate::domain::ids::QueueId;
    use crate::domain::mutation::Change;
    use crate::domain::record::{Awaited, KeyDump, Place, Record};

    fn record(id: &str) -> Record {
        Record {
            id: id.into(),
            state: None,
            keys: vec![KeyDump { key: "k".into(), dump: vec![0, 255, 10], expires_at: 7 }],
            places: vec![
                Place::List { key: "l".into(), element: id.into(), right: Some("".into()), left: None },
                Place::Sorted { key: "z".into(), member: id.into(), score: "1.5".to_owned() },
                Place::Member { key: "s".into(), member: id.into() },
                Place::Awaited(Awaited {
                    key: "a:d".into(),
                    member: id.into(),
                    base: "b".into(),
                    waiter: "a".into(),
                    score: "7".to_owned(),
                    runs: vec![("on".into(), Vec::new()), ("n".into(), b"1".to_vec())],
                }),
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
        part(None)
    }

    fn part(part_of: Option<Whole>) -> Header {
        let plan = Plan {
            server: "prod".to_owned(),
            queue: QueueId::new("list", "", "q"),
            change: Change::Remove { children: false },
            scope: Scope::Queue,
            force: false,
            rate: None,
            ramp: false,
            part_of,
        };
        Header::new("2026-01-02T03:04:05Z".to_owned(), &plan)
    }

    #[test]
    fn records_come_back_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        let trash = trash(&directory, 1 << 20);
        let mut writer = trash.begin("20260102-1", &header()).unwrap();
        writer.append(&[record("a"), record("b")]).unwrap();
        writer.append(&[record("c")]).unwrap();
        drop(writer);
        let item = trash.newest("prod").unwrap();
        assert_eq!((item.token.as_str(), &item.header), ("20260102-1", &header()));
        let mut pieces = trash.open(&item.token).unwrap().pieces().unwrap();
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
        let mut pieces = trash.open("t").unwrap().pieces().unwrap();
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
        assert!(matches!(trash.find("../audit"), Err(ChangeError::NoToken(_))));
        assert!(matches!(trash.newest("prod"), Err(ChangeError::NoToken(_))));
    }

    #[test]
    fn parts_of_one_change_are_one_thing_that_ends_with_what_was_deleted_first() {
        let directory = tempfile::tempdir().unwrap();
        let trash = trash(&directory, 1 << 20);
        let whole = Whole { token: "1".to_owned(), action: "obliterate".to_owned() };
        for (name, part_of) in [("0", None), ("2", Some(whole.clone())), ("3", Some(whole)), ("4", None)] {
            trash.begin(name, &part(part_of)).unwrap().append(&[record("a")]).unwrap();
        }
        let items = trash.list().unwrap();
        let told: Vec<(&str, &str)> = items.iter().map(|item| (&*item.token, &*item.header.action)).collect();
        assert_eq!(told, [("4", "remove"), ("1", "obliterate"), ("0", "remove")]);
        let found = trash.find("1").unwrap();
        assert_eq!((&found, &*found.files), (&items[1], &["3".to_owned(), "2".to_owned()][..]));
        assert_eq!(trash.find("2").unwrap().files, ["2"]);
        trash.discard(&found).unwrap();
        assert_eq!(trash.list().unwrap().len(), 2);
    }
}
