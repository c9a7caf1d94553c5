//! One file of the trash: its header, writing it, reading it piece by piece.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::line::{Line, decode, encode};
use crate::domain::change::{Plan, Whole};
use crate::domain::ids::QueueId;
use crate::domain::record::Record;
use crate::engine::change::hold::Hold;
use crate::engine::change::{ChangeError, file_error, private_file};

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
    /// The change it is a part of, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<Whole>,
}

impl Header {
    /// For what this plan deletes.
    pub fn new(time: String, plan: &Plan) -> Self {
        let queue = &plan.queue;
        Self {
            time,
            server: plan.server.clone(),
            system: queue.instance.system.to_owned(),
            instance: encode(queue.instance.name.as_bytes()),
            queue: encode(queue.name.as_bytes()),
            address: queue.full_address(),
            action: plan.change.verb().word().to_owned(),
            part_of: plan.part_of.clone(),
        }
    }

    /// The queue, if the system is one of `systems`.
    pub fn queue_id(&self, systems: &[&'static str]) -> Option<QueueId> {
        let system = systems.iter().find(|system| **system == self.system)?;
        Some(QueueId::new(system, decode(&self.instance)?, decode(&self.queue)?))
    }
}

/// A file being written.
#[derive(Debug)]
pub struct Writer {
    file: std::fs::File,
    path: PathBuf,
    cap: u64,
    used: u64,
    _hold: Hold,
}

impl Writer {
    /// A new file with its header. `used`: bytes that the trash holds already.
    pub(super) fn begin(path: PathBuf, header: &Header, cap: u64, used: u64) -> Result<Self, ChangeError> {
        let file =
            private_file().append(true).create_new(true).open(&path).map_err(file_error("cannot create", &path))?;
        // Held as long as it is written, so that nobody puts back or deletes a file that is still to grow.
        let hold = Hold::of(&file, &path)?;
        let mut writer = Self { file, path, cap, used, _hold: hold };
        writer.member(|member| {
            serde_json::to_writer(&mut *member, header)?;
            member.write_all(b"\n")
        })?;
        Ok(writer)
    }

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
    path: PathBuf,
    file: BufReader<File>,
}

impl Reader {
    /// Reads the header.
    pub(super) fn open(path: &Path) -> Result<Self, ChangeError> {
        let file = File::open(path).map_err(file_error("cannot open", path))?;
        let (file, first) = member(BufReader::new(file)).map_err(|cause| damaged(path, &cause.to_string()))?;
        let header = serde_json::from_slice(&first).map_err(|cause| damaged(path, &cause.to_string()))?;
        Ok(Self { header, path: path.to_owned(), file })
    }

    /// Finds the pieces, and holds the file: refused while it is written or read by another. A piece that a crash cut off
    /// ends the file: what it copies was never deleted.
    pub fn pieces(self) -> Result<Pieces, ChangeError> {
        let Self { path, mut file, .. } = self;
        let hold = Hold::of(file.get_ref(), &path)?;
        let mut begins = Vec::new();
        loop {
            let at = file.stream_position().map_err(file_error("cannot read", &path))?;
            if file.fill_buf().map_err(file_error("cannot read", &path))?.is_empty() {
                break;
            }
            let mut piece = GzDecoder::new(file);
            if std::io::copy(&mut piece, &mut std::io::sink()).is_err() {
                file = piece.into_inner();
                break;
            }
            begins.push(at);
            file = piece.into_inner();
        }
        Ok(Pieces { path, file, begins, _hold: hold })
    }
}

/// The pieces of a file, in the order in which they were deleted.
pub struct Pieces {
    path: PathBuf,
    file: BufReader<File>,
    begins: Vec<u64>,
    _hold: Hold,
}

impl Pieces {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.begins.len()
    }

    /// The records of one piece. `index` must be below [`Self::count`].
    pub fn read(&mut self, index: usize) -> Result<Vec<Record>, ChangeError> {
        self.file.seek(SeekFrom::Start(self.begins[index])).map_err(file_error("cannot read", &self.path))?;
        let (_, bytes) = member(&mut self.file).map_err(|cause| damaged(&self.path, &cause.to_string()))?;
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                let record = serde_json::from_slice::<Line>(line).ok().and_then(Line::into_record);
                record.ok_or_else(|| damaged(&self.path, "one of its records is of an unknown form"))
            })
            .collect()
    }
}

/// Reads one compressed member, and nothing behind it.
fn member<R: BufRead>(from: R) -> std::io::Result<(R, Vec<u8>)> {
    let mut decoder = GzDecoder::new(from);
    let mut bytes = Vec::new();
    decoder.read_to_end(&mut bytes)?;
    Ok((decoder.into_inner(), bytes))
}

fn damaged(path: &Path, what: &str) -> ChangeError {
    ChangeError::Damaged { path: path.to_owned(), what: what.to_owned() }
}
