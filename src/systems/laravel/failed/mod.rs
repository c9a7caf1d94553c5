//! Failed jobs. Laravel writes them into a database table or a file of the application, never into Redis, so this is
//! the one place of qtop that reads a database. Sampling never waits for it: counts are made beside the ticks.

mod change;
mod file;
mod read;
mod sql;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::described::{Application, FailedDriver};
use crate::domain::time::Timestamp;
use crate::systems::SystemError;

pub use change::{mutate, restore, retry_kept, take};
pub use read::{open, page, search};

/// Rest between two counts, at least; it grows with the time a count takes.
const REST: Duration = Duration::from_secs(3);
/// Counting may take this part of the time.
const SHARE: u32 = 20;

/// `queue:retry` pushes first and deletes the row a moment later.
const RETRY_ENDS: Duration = Duration::from_secs(1);

/// Number of failed jobs by queue.
pub type Summary = BTreeMap<String, u64>;

/// One failed job as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Row {
    /// Number of the row; a higher one failed later.
    pub number: i64,
    /// The job's own identity, where the table has it.
    pub uuid: Option<String>,
    /// Laravel's name of the queue connection.
    pub connection: String,
    /// The queue.
    pub queue: String,
    /// The payload as it stood in the list; perhaps only its start.
    pub payload: String,
    /// Its full size.
    pub payload_bytes: u64,
    /// Error and stack; perhaps only the start.
    pub exception: String,
    /// When it failed, in the application's own time zone.
    pub failed_at: String,
}

impl Row {
    /// What the row is known by: the uuid, else its number.
    pub fn id(&self) -> String {
        self.uuid.clone().unwrap_or_else(|| self.number.to_string())
    }

    /// True if both tell of the same failure; a row that was written again may have another number.
    fn is_same_failure(&self, other: &Self) -> bool {
        Self { number: other.number, ..self.clone() } == *other
    }
}

/// A job that failed for good just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The job's own identity.
    pub uuid: String,
    /// Laravel's name of the queue connection.
    pub connection: String,
    /// The queue.
    pub queue: String,
    /// The payload as it stood in the list before its last run.
    pub payload: String,
    /// What went wrong.
    pub exception: String,
}

/// Why failed jobs could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The description cannot be right.
    #[error("failed jobs of the application: {0}")]
    Described(String),
    /// The database or file could not be reached.
    #[error("the store of failed jobs cannot be reached: {0}")]
    Unreachable(String),
    /// It answered with a refusal.
    #[error("the store of failed jobs refused: {0}")]
    Refused(String),
}

impl From<StoreError> for SystemError {
    fn from(error: StoreError) -> Self {
        Self::Unsupported(error.to_string())
    }
}

enum Backend {
    Sql(Box<sql::Table>),
    File(file::File),
    /// The description or what it names is missing.
    Broken(String),
}

/// The failed jobs of one application.
pub struct Failed {
    backend: Backend,
    time_zone: String,
    connections: Vec<String>,
    counted: Mutex<Counted>,
}

/// What the last count brought.
#[derive(Clone, Default)]
pub struct Counted {
    /// By queue; `None` before the first count, or if it failed.
    pub queues: Option<Summary>,
    /// Why nothing is known.
    pub error: Option<String>,
    at: Option<Instant>,
}

impl Failed {
    /// `None` if the application's description names no store.
    pub fn of(application: &Application) -> Option<Self> {
        let store = application.failed.as_ref()?;
        let backend = match (store.driver, &store.url, &store.path, &application.missing) {
            (_, _, _, Some(missing)) => Backend::Broken(missing.clone()),
            (FailedDriver::File, _, Some(path), _) => Backend::File(file::File::new(path)),
            (FailedDriver::File, ..) => Backend::Broken("the driver \"file\" needs `path`".to_owned()),
            (_, Some(url), ..) => match sql::Table::new(url.expose(), store) {
                Ok(table) => Backend::Sql(Box::new(table)),
                Err(error) => Backend::Broken(error.to_string()),
            },
            (_, None, ..) => Backend::Broken("the description names no URL of the database".to_owned()),
        };
        Some(Self {
            backend,
            time_zone: if store.time_zone.is_empty() { "UTC".to_owned() } else { store.time_zone.clone() },
            connections: application.connections.iter().map(str::to_owned).collect(),
            counted: Mutex::default(),
        })
    }

    /// The last count.
    pub fn counted(&self) -> Counted {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True once a first count was tried.
    pub fn is_counted(&self) -> bool {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).at.is_some()
    }

    /// Counts again and again, resting in between. Never ends.
    pub async fn keep_counting(&self) {
        loop {
            let begun = Instant::now();
            let counted = match self.count().await {
                Ok(queues) => Counted { queues: Some(queues), error: None, at: Some(Instant::now()) },
                Err(error) => {
                    tracing::debug!(%error, "failed jobs could not be counted");
                    Counted { queues: None, error: Some(error.to_string()), at: Some(Instant::now()) }
                }
            };
            *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = counted;
            tokio::time::sleep(REST.max(begun.elapsed() * SHARE)).await;
        }
    }

    fn connections(&self) -> Vec<&str> {
        self.connections.iter().map(String::as_str).collect()
    }

    async fn count(&self) -> Result<Summary, StoreError> {
        match &self.backend {
            Backend::Sql(table) => table.counts(&self.connections()).await,
            Backend::File(file) => file.counts(&self.connections()).await,
            Backend::Broken(why) => Err(StoreError::Described(why.clone())),
        }
    }

    /// Newest first, with a smaller number than `below`.
    async fn rows(&self, queue: &str, below: Option<i64>, limit: usize) -> Result<Vec<Row>, StoreError> {
        match &self.backend {
            Backend::Sql(table) => {
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                table.page(queue, &self.connections(), below, limit).await
            }
            Backend::File(file) => {
                let connections = self.connections();
                let mut rows = file.rows().await?;
                rows.retain(|row| {
                    row.queue == queue
                        && below.is_none_or(|below| row.number < below)
                        && (connections.is_empty() || connections.contains(&row.connection.as_str()))
                });
                rows.truncate(limit);
                Ok(rows)
            }
            Backend::Broken(why) => Err(StoreError::Described(why.clone())),
        }
    }

    /// One job of a queue, whole.
    async fn row(&self, queue: &str, id: &str) -> Result<Option<Row>, StoreError> {
        let row = match &self.backend {
            Backend::Sql(table) => table.one(id).await?,
            Backend::File(file) => file.rows().await?.into_iter().find(|row| row.id() == id),
            Backend::Broken(why) => return Err(StoreError::Described(why.clone())),
        };
        Ok(row.filter(|row| row.queue == queue))
    }

    async fn delete(&self, row: &Row) -> Result<bool, StoreError> {
        match &self.backend {
            Backend::Sql(table) => table.delete(row).await,
            Backend::File(file) => file.delete(row).await,
            Backend::Broken(why) => Err(StoreError::Described(why.clone())),
        }
    }

    /// Says why nothing could be kept; what only the database itself can tell is not asked.
    pub fn usable(&self) -> Result<(), String> {
        match &self.backend {
            Backend::Broken(why) => Err(why.clone()),
            Backend::Sql(_) | Backend::File(_) => Ok(()),
        }
    }

    /// Writes a failure as Laravel does. A row the job has already is that of an earlier failure: of a retry that is
    /// about to delete it, which is waited for, or of an outcome that was written but not settled, which is replaced.
    pub async fn log(&self, failure: &Failure) -> Result<(), StoreError> {
        let mut row = self.row_of(failure);
        // A database has no place for this sign.
        for text in [&mut row.payload, &mut row.exception] {
            *text = text.replace('\0', "\u{fffd}");
        }
        if self.earlier(failure).await?.is_some() {
            tokio::time::sleep(RETRY_ENDS).await;
            if let Some(old) = self.earlier(failure).await? {
                self.delete(&old).await?;
            }
        }
        match &self.backend {
            Backend::Sql(table) => table.log(&row).await,
            Backend::File(file) => file.insert(&row, &self.time_zone).await.map(drop),
            Backend::Broken(why) => Err(StoreError::Described(why.clone())),
        }
    }

    /// Deletes the row of a failure that turned out to be none of ours. Rows without uuids cannot be told apart; then it
    /// stays.
    pub async fn take_back(&self, failure: &Failure) -> Result<(), StoreError> {
        if let Some(row) = self.earlier(failure).await? {
            self.delete(&row).await?;
        }
        Ok(())
    }

    /// The row a job has already, where rows are known by uuids.
    async fn earlier(&self, failure: &Failure) -> Result<Option<Row>, StoreError> {
        let row = self.row(&failure.queue, &failure.uuid).await?;
        Ok(row.filter(|row| row.uuid.as_deref() == Some(&failure.uuid)))
    }

    fn row_of(&self, failure: &Failure) -> Row {
        let Failure { uuid, connection, queue, payload, exception } = failure.clone();
        let now = jiff::Timestamp::now();
        let local = now.in_tz(&self.time_zone).unwrap_or_else(|_| now.to_zoned(jiff::tz::TimeZone::UTC));
        Row {
            number: 0,
            uuid: Some(uuid),
            connection,
            queue,
            payload_bytes: payload.len() as u64,
            payload,
            exception,
            failed_at: local.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        }
    }

    async fn insert(&self, row: &Row) -> Result<bool, StoreError> {
        match &self.backend {
            Backend::Sql(table) => table.insert(row).await,
            Backend::File(file) => file.insert(row, &self.time_zone).await,
            Backend::Broken(why) => Err(StoreError::Described(why.clone())),
        }
    }
}

/// A time of day as the application wrote it.
fn moment(text: &str, zone: &str) -> Option<Timestamp> {
    let time: jiff::civil::DateTime = text.trim().replace(' ', "T").parse().ok()?;
    Some(Timestamp(time.in_tz(zone).ok()?.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_dated_by_the_application_s_own_zone() {
        assert_eq!(moment("2023-11-14 22:13:20", "UTC"), Some(Timestamp(1_700_000_000_000)));
        assert_eq!(moment("2023-11-14 23:13:20.5", "Europe/Berlin"), Some(Timestamp(1_700_000_000_500)));
        assert_eq!(moment("yesterday", "UTC"), None);
        assert_eq!(moment("2023-11-14 22:13:20", "Nowhere/Town"), None);
    }
}
