//! The description of one Laravel application: what Redis alone does not tell about it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::field::Paths;
use crate::domain::secret::Secret;

/// One Laravel application, as a `[[laravel]]` table.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Application {
    /// Name under which qtop speaks of it, unique among the described applications.
    pub name: String,
    /// `redis.options.prefix` of the application. Without one the description holds for every prefix that is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Servers (by their names in the configuration) on which it keeps its queues; none: on all.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub servers: Paths,
    /// Folder of the application; what its `.env` says fills what is left out here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Queues to show even while they are empty: Redis keeps nothing of an empty queue.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub queues: Paths,
    /// Names of its queue connections that use this Redis; Laravel's own is `redis`. Failures of others are left out.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub connections: Paths,
    /// `retry_after` of the connection in seconds: a reservation is lost after so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Prefix of cache keys behind the Redis prefix, for example `laravel_cache:`, if the cache is in this Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_prefix: Option<String>,
    /// Prefix of Horizon's keys, for example `laravel_horizon:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub horizon_prefix: Option<String>,
    /// Where its failed jobs are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedStore>,
    /// Prefixes that the application's `.env` makes likely; not part of the file.
    #[serde(skip)]
    pub likely_prefixes: Vec<String>,
    /// Why something that was named could not be read; not part of the file.
    #[serde(skip)]
    pub missing: Option<String>,
}

/// Where an application keeps its failed jobs.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FailedStore {
    /// Laravel's own name of the way.
    pub driver: FailedDriver,
    /// Database: `sqlite:///path`, `mysql://user:password@host/database` (MariaDB too), `postgres://…`. May hold a
    /// password, so it is never shown or written.
    #[serde(with = "hidden", skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// Environment variable that holds the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_env: Option<String>,
    /// File whose first line is the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// The table.
    pub table: String,
    /// The JSON file of the driver `file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Time zone in which the application writes `failed_at`, for example `Europe/Berlin`.
    pub time_zone: String,
}

impl FailedStore {
    /// The default name of the table.
    pub const TABLE: &'static str = "failed_jobs";

    /// The table's name, also where the description names none.
    pub fn table(&self) -> &str {
        if self.table.is_empty() { Self::TABLE } else { &self.table }
    }
}

/// How failed jobs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailedDriver {
    /// A table with a column `uuid`, by which jobs are named; usual since Laravel 8.
    #[default]
    DatabaseUuids,
    /// A table in which jobs are named by their number.
    Database,
    /// A JSON file, since 10.10.
    File,
}

impl Application {
    /// True if the description is about the application with this prefix.
    pub fn holds_for(&self, prefix: &[u8]) -> bool {
        match &self.prefix {
            Some(own) => own.as_bytes() == prefix,
            None if self.likely_prefixes.is_empty() => true,
            None => self.likely_prefixes.iter().any(|likely| likely.as_bytes() == prefix),
        }
    }
}

/// Reading a secret from the file, and never writing it.
mod hidden {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::secret::Secret;

    pub(super) fn serialize<S: Serializer>(_: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        String::deserialize(deserializer).map(|text| Some(Secret::from(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s8_the_url_of_a_database_is_never_written() {
        let text = "name = \"shop\"\n[failed]\nurl = \"mysql://u:s3cret@h/shop\"\n";
        let application: Application = toml::from_str(text).expect("reads");
        let url = application.failed.as_ref().and_then(|failed| failed.url.as_ref()).expect("there");
        assert_eq!(url.expose(), "mysql://u:s3cret@h/shop");
        assert!(!format!("{application:?}").contains("s3cret"));
        assert!(!toml::to_string(&application).expect("writes").contains("s3cret"));
    }

    #[test]
    fn a_description_holds_for_its_prefix_or_for_all() {
        let mut application = Application::default();
        assert!(application.holds_for(b"any"));
        application.likely_prefixes = vec!["shop_database_".to_owned(), "shop-database-".to_owned()];
        assert!(application.holds_for(b"shop-database-") && !application.holds_for(b"any"));
        application.prefix = Some(String::new());
        assert!(application.holds_for(b"") && !application.holds_for(b"shop-database-"));
    }
}
