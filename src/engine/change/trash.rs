//! The local trash: full records of what is about to be deleted, compressed, on disk before the delete is sent.
//!
//! One file for each change, named by its undo token. A file is a run of gzip members, one for each piece, of JSON
//! lines: the first line of the first member says what the change was, each further line is a record. A member that
//! was cut off by a crash belongs to a delete that was never sent, so reading stops there without harm.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{Name, QueueId};
use crate::domain::record::{KeyDump, Place, Record};
use crate::domain::state::StateId;

use super::{ChangeError, Places, file_error, private_directory, private_file};

/// What a trash file is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// RFC 3339, UTC, by the local clock.
    pub time: String,
    /// Configured name of the server.
    pub server: String,
    /// The system's name.
    pub system: String,
    /// The instance's bytes, base64.
    pub instance: String,
    /// The queue's bytes, base64.
    pub queue: String,
    /// Full address, for people.
    pub address: String,
    /// The verb.
    pub action: String,
}

impl Header {
    /// For a change of `queue`.
    pub fn new(time: String, server: String, queue: &QueueId, action: &str) -> Self {
        Self {
            time,
            server,
            system: queue.instance.system.to_owned(),
            instance: encode(queue.instance.name.as_bytes()),
            queue: encode(queue.name.as_bytes()),
            address: queue.full_address(),
            action: action.to_owned(),
        }
    }

    /// The queue, if the system is one of `systems`.
    pub fn queue_id(&self, systems: &[&'static str]) -> Option<QueueId> {
        let system = systems.iter().find(|system| **system == self.system)?;
        Some(QueueId::new(system, decode(&self.instance)?, decode(&self.queue)?))
    }
}

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
        let file =
            private_file().append(true).create_new(true).open(&path).map_err(file_error("cannot create", &path))?;
        let mut writer = Writer { file, path, cap: self.cap, used: self.used()? };
        writer.member(|member| {
            serde_json::to_writer(&mut *member, header)?;
            member.write_all(b"\n")
        })?;
        Ok(writer)
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

    /// Deletes one file, for good.
    pub fn discard(&self, token: &str) -> Result<(), ChangeError> {
        let path = self.path(token);
        std::fs::remove_file(&path).map_err(file_error("cannot delete", &path))
    }

    /// Deletes everything, for good; returns the number of files.
    pub fn empty(&self) -> Result<usize, ChangeError> {
        let files = self.files()?;
        for (path, _) in &files {
            std::fs::remove_file(path).map_err(file_error("cannot delete", path))?;
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

/// A file being written.
#[derive(Debug)]
pub struct Writer {
    file: std::fs::File,
    path: PathBuf,
    cap: u64,
    used: u64,
}

impl Writer {
    /// Appends records and waits until they are on disk. Only then may they be deleted from the server.
    pub fn append(&mut self, records: &[Record]) -> Result<(), ChangeError> {
        let needed: u64 = records.iter().map(|record| record.weight() as u64).sum();
        if self.used.saturating_add(needed) > self.cap {
            return Err(ChangeError::TrashFull { needed, used: self.used, cap: self.cap });
        }
        self.member(|member| {
            for record in records {
                serde_json::to_writer(&mut *member, &Line::from(record))?;
                member.write_all(b"\n")?;
            }
            Ok(())
        })
    }

    fn member(
        &mut self,
        write: impl FnOnce(&mut GzEncoder<Vec<u8>>) -> std::io::Result<()>,
    ) -> Result<(), ChangeError> {
        let mut member = GzEncoder::new(Vec::new(), Compression::fast());
        let bytes =
            write(&mut member).and_then(|()| member.finish()).map_err(file_error("cannot compress for", &self.path))?;
        self.file.write_all(&bytes).map_err(file_error("cannot write", &self.path))?;
        self.file.sync_all().map_err(file_error("cannot write", &self.path))?;
        self.used += bytes.len() as u64;
        Ok(())
    }
}

/// A file being read.
pub struct Reader {
    /// What it is about.
    pub header: Header,
    lines: std::io::Lines<BufReader<MultiGzDecoder<BufReader<std::fs::File>>>>,
}

impl Reader {
    fn open(path: &Path) -> Result<Self, ChangeError> {
        let file = std::fs::File::open(path).map_err(file_error("cannot open", path))?;
        let mut lines = BufReader::new(MultiGzDecoder::new(BufReader::new(file))).lines();
        let damaged = |what: String| ChangeError::Damaged { path: path.to_owned(), what };
        let first = lines.next().ok_or_else(|| damaged("it is empty".to_owned()))?;
        let first = first.map_err(|cause| damaged(cause.to_string()))?;
        let header = serde_json::from_str(&first).map_err(|cause| damaged(cause.to_string()))?;
        Ok(Self { header, lines })
    }

    /// The next at most `count` records; empty at the end. A member that a crash cut off ends the file.
    pub fn next(&mut self, count: usize) -> Vec<Record> {
        let mut records = Vec::with_capacity(count);
        while records.len() < count {
            let Some(Ok(line)) = self.lines.next() else { break };
            let Some(record) = serde_json::from_str::<Line>(&line).ok().and_then(Line::into_record) else { break };
            records.push(record);
        }
        records
    }
}

fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// A record as a line of JSON; bytes as base64.
#[derive(Serialize, Deserialize)]
struct Line {
    id: String,
    state: Option<String>,
    keys: Vec<(String, String, i64)>,
    places: Vec<(String, Vec<Option<String>>)>,
}

impl From<&Record> for Line {
    fn from(record: &Record) -> Self {
        let some = |name: &Name| Some(encode(name.as_bytes()));
        let maybe = |name: &Option<Name>| name.as_ref().map(|name| encode(name.as_bytes()));
        let place = |place: &Place| match place {
            Place::List { key, element, right, left } => {
                ("list".to_owned(), vec![some(key), some(element), maybe(right), maybe(left)])
            }
            Place::Sorted { key, member, score } => {
                ("sorted".to_owned(), vec![some(key), some(member), Some(score.clone())])
            }
            Place::Member { key, member } => ("member".to_owned(), vec![some(key), some(member)]),
            Place::Field { key, field, value } => {
                ("field".to_owned(), vec![some(key), some(field), Some(encode(value))])
            }
            Place::Entry { key, entry, fields } => {
                let words = [some(key), some(entry)].into_iter();
                ("entry".to_owned(), words.chain(fields.iter().map(|part| Some(encode(part)))).collect())
            }
            Place::Delivered { key, group, entry, consumer, at, deliveries } => {
                let numbers = [Some(at.to_string()), Some(deliveries.to_string())];
                let words = [some(key), some(group), some(entry), some(consumer)].into_iter().chain(numbers);
                ("delivered".to_owned(), words.collect())
            }
        };
        Self {
            id: encode(record.id.as_bytes()),
            state: record.state.map(|state| state.0.to_owned()),
            keys: record
                .keys
                .iter()
                .map(|key| (encode(key.key.as_bytes()), encode(&key.dump), key.expires_at))
                .collect(),
            places: record.places.iter().map(place).collect(),
        }
    }
}

impl Line {
    fn into_record(self) -> Option<Record> {
        let keys = self
            .keys
            .into_iter()
            .map(|(key, dump, expires_at)| {
                Some(KeyDump { key: decode(&key)?.into(), dump: decode(&dump)?, expires_at })
            })
            .collect::<Option<Vec<_>>>()?;
        let places = self.places.into_iter().map(|(kind, parts)| place(&kind, &parts)).collect::<Option<Vec<_>>>()?;
        // Only told to people: putting back goes by the places.
        let state = self.state.as_deref().and_then(known_state);
        Some(Record { id: decode(&self.id)?.into(), state, keys, places })
    }
}

fn place(kind: &str, parts: &[Option<String>]) -> Option<Place> {
    let part = |index: usize| parts.get(index).and_then(Option::as_deref);
    let name = |index: usize| part(index).and_then(decode).map(Name::from);
    Some(match kind {
        "list" => Place::List { key: name(0)?, element: name(1)?, right: name(2), left: name(3) },
        "sorted" => Place::Sorted { key: name(0)?, member: name(1)?, score: part(2)?.to_owned() },
        "member" => Place::Member { key: name(0)?, member: name(1)? },
        "field" => Place::Field { key: name(0)?, field: name(1)?, value: part(2).and_then(decode)? },
        "entry" => Place::Entry {
            key: name(0)?,
            entry: name(1)?,
            fields: (2..parts.len()).map(|index| part(index).and_then(decode)).collect::<Option<_>>()?,
        },
        "delivered" => Place::Delivered {
            key: name(0)?,
            group: name(1)?,
            entry: name(2)?,
            consumer: name(3)?,
            at: part(4)?.parse().ok()?,
            deliveries: part(5)?.parse().ok()?,
        },
        _ => return None,
    })
}

fn known_state(word: &str) -> Option<StateId> {
    crate::systems::all(&crate::domain::described::Described::default())
        .iter()
        .flat_map(|system| system.spec().states)
        .map(|state| state.id)
        .find(|id| id.0 == word)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let (token, mut reader) = trash.open(None).unwrap();
        assert_eq!((token.as_str(), &reader.header), ("20260102-1", &header()));
        assert_eq!(reader.next(2), [record("a"), record("b")]);
        assert_eq!(reader.next(2), [record("c")]);
        assert_eq!(reader.next(2), []);
    }

    #[test]
    fn a_piece_cut_off_by_a_crash_does_not_spoil_those_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let trash = trash(&directory, 1 << 20);
        let mut writer = trash.begin("t", &header()).unwrap();
        writer.append(&[record("a")]).unwrap();
        writer.append(&[record("b")]).unwrap();
        let path = trash.path("t");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        let (_, mut reader) = trash.open(Some("t")).unwrap();
        assert_eq!(reader.next(10).first(), Some(&record("a")));
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
