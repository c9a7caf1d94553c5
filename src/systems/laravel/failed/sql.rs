//! The table of failed jobs in SQLite, MySQL or MariaDB, or PostgreSQL.
//!
//! Everything is read and written as text, so that one set of statements serves all three; what differs is in
//! [`Dialect`]. A handful of connections, each use with a time limit: a database that hangs holds up nobody but its user.

use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Row as _};
use tokio::sync::OnceCell;

use super::{Row, StoreError, Summary};
use crate::domain::described::FailedStore;

/// Connections that are open at the same time.
const CONNECTIONS: u32 = 2;
/// Time for a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for one statement.
const STATEMENT: Duration = Duration::from_secs(15);
/// Bytes of a payload and of an exception that a list reads.
const STARTS: u32 = 2_048;

/// A value for a place in a statement.
enum Bind<'a> {
    Text(&'a str),
    Number(i64),
}

type TextRow = Vec<Option<String>>;

enum Options {
    Sqlite(Box<SqliteConnectOptions>),
    MySql(Box<MySqlConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

enum Pool {
    Sqlite(SqlitePool),
    MySql(MySqlPool),
    Postgres(PgPool),
}

/// How the three write the same.
struct Dialect {
    quote: char,
    text: &'static str,
    bytes: &'static str,
    numbered: bool,
    timestamp: &'static str,
    whole_number: &'static str,
}

/// SQLite takes an unknown name in double quotes for a text, so a missing column would not be noticed.
const SQLITE: Dialect = Dialect {
    quote: '`',
    text: "TEXT",
    bytes: "LENGTH(CAST(payload AS BLOB))",
    numbered: false,
    timestamp: "TEXT",
    whole_number: "INTEGER",
};
const MYSQL: Dialect = Dialect {
    quote: '`',
    text: "CHAR",
    bytes: "LENGTH(payload)",
    numbered: false,
    timestamp: "DATETIME",
    whole_number: "SIGNED",
};
const POSTGRES: Dialect = Dialect {
    quote: '"',
    text: "TEXT",
    bytes: "OCTET_LENGTH(payload)",
    numbered: true,
    timestamp: "TIMESTAMP",
    whole_number: "BIGINT",
};

/// One table.
pub struct Table {
    options: Options,
    /// Made at the first use: a pool belongs to the runtime in which it is made.
    pool: OnceLock<Pool>,
    dialect: Dialect,
    name: String,
    /// Whether the table has a column `uuid`; asked once.
    has_uuid: OnceCell<bool>,
}

impl Table {
    /// Nothing is connected before it is used.
    pub fn new(url: &str, store: &FailedStore) -> Result<Self, StoreError> {
        let wrong = |error: sqlx::Error| StoreError::Described(format!("the database's URL cannot be read: {error}"));
        let scheme = url.split(':').next().unwrap_or_default();
        let (options, dialect) = match scheme {
            "sqlite" => {
                let options = SqliteConnectOptions::from_str(url).map_err(wrong)?.disable_statement_logging();
                (Options::Sqlite(Box::new(options)), SQLITE)
            }
            "mysql" | "mariadb" => {
                let options = MySqlConnectOptions::from_str(url).map_err(wrong)?.disable_statement_logging();
                (Options::MySql(Box::new(options)), MYSQL)
            }
            "postgres" | "postgresql" => {
                let options = PgConnectOptions::from_str(url).map_err(wrong)?.disable_statement_logging();
                (Options::Postgres(Box::new(options)), POSTGRES)
            }
            other => {
                return Err(StoreError::Described(format!(
                    "{other:?} is no database qtop knows: write sqlite:, mysql: or postgres:"
                )));
            }
        };
        let quote = dialect.quote;
        let quoted: Vec<String> = store
            .table()
            .split('.')
            .map(|part| format!("{quote}{}{quote}", part.replace(quote, &format!("{quote}{quote}"))))
            .collect();
        Ok(Self { options, pool: OnceLock::new(), dialect, name: quoted.join("."), has_uuid: OnceCell::new() })
    }

    fn pool(&self) -> &Pool {
        self.pool.get_or_init(|| match &self.options {
            Options::Sqlite(options) => {
                let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(CONNECT);
                Pool::Sqlite(pool.connect_lazy_with(options.as_ref().clone()))
            }
            Options::MySql(options) => {
                let pool = MySqlPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(CONNECT);
                Pool::MySql(pool.connect_lazy_with(options.as_ref().clone()))
            }
            Options::Postgres(options) => {
                let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(CONNECT);
                Pool::Postgres(pool.connect_lazy_with(options.as_ref().clone()))
            }
        })
    }

    /// Number of failed jobs by queue, of these connections; none: of all.
    pub async fn counts(&self, connections: &[&str]) -> Result<Summary, StoreError> {
        let (filter, binds) = self.of_connections(connections, 1);
        let text = self.dialect.text;
        let sql = format!(
            "SELECT CAST({0} AS {text}), CAST(COUNT(*) AS {text}) FROM {1} WHERE {filter} GROUP BY {0}",
            self.column("queue"),
            self.name
        );
        let rows = self.fetch(&sql, &binds).await?;
        let pair = |row: TextRow| {
            let mut cells = row.into_iter();
            let queue = cells.next().flatten()?;
            Some((queue, cells.next().flatten()?.parse().ok()?))
        };
        Ok(rows.into_iter().filter_map(pair).collect())
    }

    /// Newest first, those with a smaller number than `below`. Payload and exception are cut.
    pub async fn page(
        &self,
        queue: &str,
        connections: &[&str],
        below: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Row>, StoreError> {
        let (filter, mut binds) = self.of_connections(connections, 3);
        binds.insert(0, Bind::Text(queue));
        binds.insert(1, Bind::Number(below.unwrap_or(i64::MAX)));
        binds.push(Bind::Number(limit));
        let part = |name: &str| format!("SUBSTR({}, 1, {STARTS})", self.column(name));
        let sql = format!(
            "SELECT {} FROM {} WHERE {} = {} AND {} < {} AND {filter} ORDER BY {} DESC LIMIT {}",
            self.columns(&part("payload"), &part("exception")).await?,
            self.name,
            self.column("queue"),
            self.place(1),
            self.column("id"),
            self.place(2),
            self.column("id"),
            self.place(binds.len()),
        );
        self.rows(&sql, &binds).await
    }

    /// One row, whole.
    pub async fn one(&self, id: &str) -> Result<Option<Row>, StoreError> {
        let (condition, bind) = self.named(id).await?;
        let sql = format!(
            "SELECT {} FROM {} WHERE {condition}",
            self.columns(&self.column("payload"), &self.column("exception")).await?,
            self.name
        );
        Ok(self.rows(&sql, &[bind]).await?.into_iter().next())
    }

    /// Deletes a row; true if it was this call that did.
    pub async fn delete(&self, row: &Row) -> Result<bool, StoreError> {
        let sql = format!("DELETE FROM {} WHERE {} = {}", self.name, self.column("id"), self.place(1));
        Ok(self.execute(&sql, &[Bind::Number(row.number)]).await? == 1)
    }

    /// Writes a row that was deleted, under its old number; false if somebody has that number or uuid by now.
    pub async fn insert(&self, row: &Row) -> Result<bool, StoreError> {
        if self.one(row.id().as_str()).await?.is_some() {
            return Ok(false);
        }
        self.add(row, true).await
    }

    /// Writes a row of a job that failed just now; the table numbers it.
    pub async fn log(&self, row: &Row) -> Result<(), StoreError> {
        self.uuids().await?;
        self.add(row, false).await.map(drop)
    }

    async fn add(&self, row: &Row, numbered: bool) -> Result<bool, StoreError> {
        let number = row.number.to_string();
        let mut columns = vec!["connection", "queue", "payload", "exception", "failed_at"];
        let mut binds = vec![&row.connection, &row.queue, &row.payload, &row.exception, &row.failed_at];
        if numbered {
            columns.push("id");
            binds.push(&number);
        }
        if let Some(uuid) = row.uuid.as_ref().filter(|_| self.has_uuid.get() == Some(&true)) {
            columns.push("uuid");
            binds.push(uuid);
        }
        let place = |(index, column): (usize, &&str)| match *column {
            "id" => format!("CAST({} AS {})", self.place(index + 1), self.dialect.whole_number),
            "failed_at" => format!("CAST({} AS {})", self.place(index + 1), self.dialect.timestamp),
            _ => self.place(index + 1),
        };
        let places: Vec<String> = columns.iter().enumerate().map(place).collect();
        let names: Vec<String> = columns.iter().map(|column| self.column(column)).collect();
        let sql = format!("INSERT INTO {} ({}) VALUES ({})", self.name, names.join(", "), places.join(", "));
        let binds: Vec<Bind<'_>> = binds.into_iter().map(|text| Bind::Text(text)).collect();
        Ok(self.execute(&sql, &binds).await? == 1)
    }

    fn column(&self, name: &str) -> String {
        format!("{0}{name}{0}", self.dialect.quote)
    }

    fn place(&self, number: usize) -> String {
        if self.dialect.numbered { format!("${number}") } else { "?".to_owned() }
    }

    /// What is selected, in the order in which [`Self::rows`] reads it.
    async fn columns(&self, payload: &str, exception: &str) -> Result<String, StoreError> {
        let text = |name: &str| format!("CAST({} AS {})", self.column(name), self.dialect.text);
        let uuid = if self.uuids().await? { text("uuid") } else { "NULL".to_owned() };
        let size = format!("CAST({} AS {})", self.dialect.bytes, self.dialect.text);
        let parts = [
            text("id"),
            format!("CAST({uuid} AS {})", self.dialect.text),
            text("connection"),
            text("queue"),
            payload.to_owned(),
            size,
            exception.to_owned(),
            text("failed_at"),
        ];
        Ok(parts.join(", "))
    }

    fn of_connections<'a>(&self, connections: &[&'a str], first: usize) -> (String, Vec<Bind<'a>>) {
        if connections.is_empty() {
            return ("1 = 1".to_owned(), Vec::new());
        }
        let places: Vec<String> = (0..connections.len()).map(|index| self.place(first + index)).collect();
        let filter = format!("{} IN ({})", self.column("connection"), places.join(", "));
        (filter, connections.iter().map(|name| Bind::Text(name)).collect())
    }

    /// Rows are known by their uuid, or by their number where there is none.
    async fn named<'a>(&self, id: &'a str) -> Result<(String, Bind<'a>), StoreError> {
        let number = id.parse::<i64>();
        match (self.uuids().await?, number) {
            (true, Err(_)) => Ok((format!("{} = {}", self.column("uuid"), self.place(1)), Bind::Text(id))),
            (_, Ok(number)) => Ok((format!("{} = {}", self.column("id"), self.place(1)), Bind::Number(number))),
            (false, Err(_)) => Ok(("1 = 0 OR 0 = ".to_owned() + &self.place(1), Bind::Number(1))),
        }
    }

    async fn uuids(&self) -> Result<bool, StoreError> {
        let ask = async || {
            let sql =
                format!("SELECT CAST({} AS {}) FROM {} LIMIT 1", self.column("uuid"), self.dialect.text, self.name);
            match self.fetch(&sql, &[]).await {
                Ok(_) => Ok(true),
                // The table itself is asked once more, so that a missing table is told as what it is.
                Err(StoreError::Refused(_)) => {
                    let sql = format!("SELECT CAST(COUNT(*) AS {}) FROM {}", self.dialect.text, self.name);
                    self.fetch(&sql, &[]).await.map(|_| false)
                }
                Err(error) => Err(error),
            }
        };
        self.has_uuid.get_or_try_init(ask).await.copied()
    }

    async fn rows(&self, sql: &str, binds: &[Bind<'_>]) -> Result<Vec<Row>, StoreError> {
        let rows = self.fetch(sql, binds).await?;
        let read = |row: TextRow| {
            let mut cells = row.into_iter();
            let mut next = || cells.next().flatten();
            Some(Row {
                number: next()?.parse().ok()?,
                uuid: next(),
                connection: next().unwrap_or_default(),
                queue: next().unwrap_or_default(),
                payload: next().unwrap_or_default(),
                payload_bytes: next().and_then(|size| size.parse().ok()).unwrap_or(0),
                exception: next().unwrap_or_default(),
                failed_at: next().unwrap_or_default(),
            })
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    async fn fetch(&self, sql: &str, binds: &[Bind<'_>]) -> Result<Vec<TextRow>, StoreError> {
        macro_rules! fetch {
            ($pool:expr) => {{
                let rows = prepared!(sql, binds).fetch_all($pool).await?;
                rows.iter()
                    .map(|row| (0..row.len()).map(|index| row.try_get::<Option<String>, _>(index)).collect())
                    .collect()
            }};
        }
        in_time(async {
            match self.pool() {
                Pool::Sqlite(pool) => fetch!(pool),
                Pool::MySql(pool) => fetch!(pool),
                Pool::Postgres(pool) => fetch!(pool),
            }
        })
        .await
    }

    async fn execute(&self, sql: &str, binds: &[Bind<'_>]) -> Result<u64, StoreError> {
        in_time(async {
            Ok(match self.pool() {
                Pool::Sqlite(pool) => prepared!(sql, binds).execute(pool).await?.rows_affected(),
                Pool::MySql(pool) => prepared!(sql, binds).execute(pool).await?.rows_affected(),
                Pool::Postgres(pool) => prepared!(sql, binds).execute(pool).await?.rows_affected(),
            })
        })
        .await
    }
}

/// A statement with its values. Its text is made here from names of the description, which are quoted; what comes from
/// Redis or the table itself is bound.
macro_rules! prepared {
    ($sql:expr, $binds:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($sql.to_owned()));
        for bind in $binds {
            query = match bind {
                Bind::Text(text) => query.bind((*text).to_owned()),
                Bind::Number(number) => query.bind(*number),
            };
        }
        query
    }};
}
use prepared;

async fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(STATEMENT, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sqlx::Error::Database(error))) => Err(StoreError::Refused(error.message().to_owned())),
        Ok(Err(sqlx::Error::PoolTimedOut)) => {
            Err(StoreError::Unreachable(format!("no connection within {} s", CONNECT.as_secs())))
        }
        Ok(Err(error)) => Err(StoreError::Unreachable(error.to_string())),
        Err(_) => Err(StoreError::Unreachable(format!("no answer within {} s", STATEMENT.as_secs()))),
    }
}
