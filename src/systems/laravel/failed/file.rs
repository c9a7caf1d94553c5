//! Failed jobs in a JSON file: Laravel's driver `file`, newest first, at most 100 by its default.
//!
//! Laravel guards the file by a lock in its cache, which qtop cannot take. A change therefore reads the file, looks
//! again right before it puts the new one in its place, and gives up if it was written meanwhile.

use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Row, StoreError, Summary};

/// Largest file that is read.
const MOST_BYTES: u64 = 64 << 20;

/// One file.
pub struct File {
    path: PathBuf,
    /// Held by a change of this program, so that two do not meet.
    writing: tokio::sync::Mutex<()>,
}

/// What was read, and the state of the file at that moment.
struct Read {
    entries: Vec<Box<RawValue>>,
    mark: Option<(std::time::SystemTime, u64)>,
}

impl File {
    /// Nothing is read before it is used.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), writing: tokio::sync::Mutex::default() }
    }

    fn error(&self, what: &str, cause: impl std::fmt::Display) -> StoreError {
        StoreError::Unreachable(format!("{} cannot be {what}: {cause}", self.path.display()))
    }

    async fn mark(&self) -> Result<Option<(std::time::SystemTime, u64)>, StoreError> {
        match tokio::fs::metadata(&self.path).await {
            Ok(facts) => Ok(Some((facts.modified().map_err(|error| self.error("read", error))?, facts.len()))),
            // Laravel makes it with the first failure.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.error("read", error)),
        }
    }

    async fn read(&self) -> Result<Read, StoreError> {
        let mark = self.mark().await?;
        match mark {
            None => return Ok(Read { entries: Vec::new(), mark }),
            Some((_, bytes)) if bytes > MOST_BYTES => return Err(self.error("read", "it is larger than 64 MiB")),
            Some(_) => {}
        }
        let text = tokio::fs::read_to_string(&self.path).await.map_err(|error| self.error("read", error))?;
        let entries = if text.trim().is_empty() {
            Vec::new()
        } else {
            serde_json::from_str(&text).map_err(|error| self.error("read", format!("it is no JSON array: {error}")))?
        };
        Ok(Read { entries, mark })
    }

    /// All rows, newest first. The highest number is the newest.
    pub async fn rows(&self) -> Result<Vec<Row>, StoreError> {
        let read = self.read().await?;
        let count = read.entries.len() as i64;
        Ok(read.entries.iter().zip(0..).filter_map(|(entry, index)| row(entry, count - index)).collect())
    }

    /// Number of failed jobs by queue.
    pub async fn counts(&self, connections: &[&str]) -> Result<Summary, StoreError> {
        let mut counts = Summary::new();
        for row in self.rows().await? {
            if connections.is_empty() || connections.contains(&row.connection.as_str()) {
                *counts.entry(row.queue).or_default() += 1;
            }
        }
        Ok(counts)
    }

    /// Takes a row out; true if it was this call that did.
    pub async fn delete(&self, gone: &Row) -> Result<bool, StoreError> {
        let _alone = self.writing.lock().await;
        let Read { mut entries, mark } = self.read().await?;
        let before = entries.len();
        entries.retain(|entry| row(entry, 0).is_none_or(|known| known.uuid != gone.uuid));
        if entries.len() == before {
            return Ok(false);
        }
        self.write(&entries, mark).await?;
        Ok(true)
    }

    /// Puts a row in as the newest; false if it is there. `zone`: the application's, for the moment as a number.
    pub async fn insert(&self, back: &Row, zone: &str) -> Result<bool, StoreError> {
        let _alone = self.writing.lock().await;
        let Read { mut entries, mark } = self.read().await?;
        if entries.iter().any(|entry| row(entry, 0).is_some_and(|known| known.uuid == back.uuid)) {
            return Ok(false);
        }
        let mut entry = Map::new();
        let text = |value: &str| Value::String(value.to_owned());
        entry.insert("id".to_owned(), text(back.id().as_str()));
        entry.insert("connection".to_owned(), text(&back.connection));
        entry.insert("queue".to_owned(), text(&back.queue));
        entry.insert("payload".to_owned(), text(&back.payload));
        entry.insert("exception".to_owned(), text(&back.exception));
        entry.insert("failed_at".to_owned(), text(&back.failed_at));
        let seconds = super::moment(&back.failed_at, zone).map(|moment| moment.0 / 1_000);
        entry.insert("failed_at_timestamp".to_owned(), seconds.map_or(Value::Null, Value::from));
        let raw =
            RawValue::from_string(Value::Object(entry).to_string()).map_err(|error| self.error("written", error))?;
        entries.insert(0, raw);
        self.write(&entries, mark).await?;
        Ok(true)
    }

    async fn write(
        &self,
        entries: &[Box<RawValue>],
        mark: Option<(std::time::SystemTime, u64)>,
    ) -> Result<(), StoreError> {
        let text = serde_json::to_string_pretty(entries).map_err(|error| self.error("written", error))?;
        let mut name = self.path.clone().into_os_string();
        name.push(".qtop");
        let beside = PathBuf::from(name);
        tokio::fs::write(&beside, text).await.map_err(|error| self.error("written", error))?;
        if let Ok(facts) = tokio::fs::metadata(&self.path).await {
            tokio::fs::set_permissions(&beside, facts.permissions())
                .await
                .map_err(|error| self.error("written", error))?;
        }
        if self.mark().await? != mark {
            // Leaving the copy behind would be worse than failing to remove it.
            drop(tokio::fs::remove_file(&beside).await);
            return Err(StoreError::Refused("the application wrote the file at the same moment; try again".to_owned()));
        }
        tokio::fs::rename(&beside, &self.path).await.map_err(|error| self.error("written", error))
    }
}

fn row(entry: &RawValue, number: i64) -> Option<Row> {
    let fields: Map<String, Value> = serde_json::from_str(entry.get()).ok()?;
    let text = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let payload = text("payload");
    Some(Row {
        number,
        uuid: Some(text("id")).filter(|id| !id.is_empty()),
        connection: text("connection"),
        queue: text("queue"),
        payload_bytes: payload.len() as u64,
        payload,
        exception: text("exception"),
        failed_at: text("failed_at"),
    })
}
