//! Laravel applications in the configuration: what cannot be right, secrets from their places, and what the
//! application's own `.env` says.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::document::Step;
use super::load::Environment;
use super::schema::Config;
use super::trusted::read_trusted;
use crate::domain::described::{Application, FailedDriver, FailedStore};
use crate::domain::secret::Secret;

/// Beginnings of database URLs that qtop understands.
const SCHEMES: [&str; 5] = ["sqlite:", "mysql:", "mariadb:", "postgres:", "postgresql:"];

/// A place, what is wrong there, and what to write.
pub(super) type Wrong = (Vec<Step>, String, String);

/// What cannot be right in the `[[laravel]]` tables.
pub(super) fn problems(config: &Config) -> Vec<Wrong> {
    let mut found = Vec::new();
    for (index, application) in config.laravel.iter().enumerate() {
        let at = |keys: &[&str]| -> Vec<Step> {
            let table = [Step::from("laravel"), Step::Index(index)];
            table.into_iter().chain(keys.iter().copied().map(Step::from)).collect()
        };
        let mut add = |keys: &[&str], message: &str, remedy: &str| {
            found.push((at(keys), message.to_owned(), remedy.to_owned()));
        };
        if application.name.is_empty() {
            add(&["name"], "an application needs a name", "write name = \"shop\"");
        } else if config.laravel[..index].iter().any(|earlier| earlier.name == application.name) {
            add(&["name"], "another [[laravel]] has this name", "names must differ");
        }
        let Some(failed) = &application.failed else { continue };
        let given = [failed.url.is_some(), failed.url_env.is_some(), failed.url_file.is_some()];
        let given = given.into_iter().filter(|given| *given).count();
        match failed.driver {
            FailedDriver::File if failed.path.is_none() => {
                add(
                    &["failed"],
                    "the driver \"file\" needs `path`",
                    "for example storage/framework/cache/failed-jobs.json",
                );
            }
            FailedDriver::File => {}
            _ if given == 0 => add(
                &["failed"],
                "the database has no URL",
                "write one of url, url_env and url_file, or name the application's `folder` instead",
            ),
            _ if given > 1 => {
                add(&["failed"], "the database has several URLs", "keep one of url, url_env and url_file")
            }
            _ => {}
        }
        // The URL itself is not repeated: it may hold a password.
        if failed.url.as_ref().is_some_and(|url| !SCHEMES.iter().any(|scheme| url.expose().starts_with(scheme))) {
            let remedy = "write sqlite:///path, mysql://user:password@host/database or postgres://…";
            add(&["failed", "url"], "the URL is of no database qtop knows", remedy);
        }
        if !failed.time_zone.is_empty() && jiff::tz::TimeZone::get(&failed.time_zone).is_err() {
            let remedy = "write it like \"Europe/Berlin\" or \"UTC\"";
            add(&["failed", "time_zone"], "there is no time zone of this name", remedy);
        }
    }
    found
}

/// Makes relative paths start at the folder of the configuration file.
pub(super) fn resolve(application: &mut Application, mut resolve: impl FnMut(&mut Option<PathBuf>)) {
    resolve(&mut application.folder);
    if let Some(failed) = &mut application.failed {
        resolve(&mut failed.url_file);
        resolve(&mut failed.path);
    }
}

/// Fills in secrets and what `.env` files say. What cannot be read is remembered with the application: it matters only
/// where that application is looked at.
pub(super) fn find(config: &mut Config, environment: &Environment) {
    let mut sources = Vec::new();
    for application in &mut config.laravel {
        if let Some(folder) = application.folder.clone() {
            let path = folder.join(".env");
            match read_trusted(&path) {
                Ok(text) => fill(application, &folder, &Settings::read(&text)),
                Err(untrusted) => application.missing = Some(untrusted.problem(&path).line()),
            }
            sources.push(path);
        }
        let Some(failed) = application.failed.as_mut().filter(|failed| failed.url.is_none()) else { continue };
        if let Some(name) = &failed.url_env {
            match environment.get(name) {
                Some(url) => failed.url = Some(Secret::new(url)),
                None => application.missing = Some(format!("the environment variable {name} is not set")),
            }
        } else if let Some(path) = &failed.url_file {
            match read_trusted(path).map(|text| text.lines().next().unwrap_or_default().trim().to_owned()) {
                Ok(line) if !line.is_empty() => failed.url = Some(Secret::new(line)),
                Ok(_) => application.missing = Some(format!("{}: the first line is empty", path.display())),
                Err(untrusted) => application.missing = Some(untrusted.problem(path).line()),
            }
            sources.push(path.clone());
        }
    }
    config.origin.sources.append(&mut sources);
}

/// The settings of an `.env` file.
struct Settings(HashMap<String, String>);

impl Settings {
    /// `NAME=value`, `NAME="a value"`, `export NAME=…`, `# remarks`; `${NAME}` stands for an earlier one.
    fn read(text: &str) -> Self {
        let mut found: HashMap<String, String> = HashMap::new();
        for line in text.lines() {
            let line = line.trim();
            let line = line.strip_prefix("export ").unwrap_or(line);
            let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
            let value = value.trim();
            let value = if let Some(quoted) = value.strip_prefix('\'') {
                quoted.split('\'').next().unwrap_or_default().to_owned()
            } else if let Some(quoted) = value.strip_prefix('"') {
                insert(&unescaped(quoted), &found)
            } else {
                insert(value.split(" #").next().unwrap_or_default().trim_end(), &found)
            };
            found.insert(name.trim().to_owned(), value);
        }
        Self(found)
    }

    /// A setting that is there, not empty and not `null`.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty() && !matches!(*value, "null" | "(null)"))
    }

    fn or<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.get(name).unwrap_or(default)
    }
}

/// The text up to the closing quote, with `\"` and `\\` undone.
fn unescaped(quoted: &str) -> String {
    let mut out = String::new();
    let mut signs = quoted.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '"' => break,
            '\\' => out.extend(signs.next()),
            sign => out.push(sign),
        }
    }
    out
}

fn insert(value: &str, known: &HashMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            out.push_str("${");
            rest = after;
            continue;
        };
        out.push_str(known.get(name).map_or("", String::as_str));
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Fills what the description leaves out.
fn fill(application: &mut Application, folder: &Path, settings: &Settings) {
    let name = settings.or("APP_NAME", "Laravel");
    if application.prefix.is_none() {
        match settings.0.get("REDIS_PREFIX") {
            Some(prefix) => application.prefix = Some(prefix.clone()),
            None => {
                let usual = [format!("{}_database_", slug(name, '_')), format!("{}-database-", slug(name, '-'))];
                application.likely_prefixes = usual.into();
            }
        }
    }
    if application.retry_after.is_none() {
        application.retry_after = settings.get("REDIS_QUEUE_RETRY_AFTER").and_then(|seconds| seconds.parse().ok());
    }
    if application.horizon_prefix.is_none() {
        application.horizon_prefix = settings.get("HORIZON_PREFIX").map(str::to_owned);
    }
    if application.failed.is_none() {
        let mut store = FailedStore { time_zone: settings.or("APP_TIMEZONE", "").to_owned(), ..FailedStore::default() };
        match settings.or("QUEUE_FAILED_DRIVER", "database-uuids") {
            "file" => {
                store.driver = FailedDriver::File;
                store.path = Some(folder.join("storage/framework/cache/failed-jobs.json"));
            }
            driver @ ("dynamodb" | "null") => {
                application.missing =
                    Some(format!("the application's driver of failed jobs is {driver}, which qtop cannot read"));
            }
            driver => {
                if driver == "database" {
                    store.driver = FailedDriver::Database;
                }
                match database(folder, settings) {
                    Ok(url) => store.url = Some(url),
                    Err(missing) => application.missing = Some(missing),
                }
            }
        }
        application.failed = Some(store);
    }
}

/// The URL of the application's own database.
fn database(folder: &Path, settings: &Settings) -> Result<Secret, String> {
    if let Some(url) = settings.get("DB_URL").or_else(|| settings.get("DATABASE_URL")) {
        return Ok(Secret::new(url.replacen("pgsql://", "postgres://", 1)));
    }
    let own_file = folder.join("database/database.sqlite");
    let default = if settings.get("DB_HOST").is_none() && own_file.exists() { "sqlite" } else { "mysql" };
    let kind = settings.or("DB_CONNECTION", default);
    let (scheme, port) = match kind {
        "sqlite" => {
            let path = settings.get("DB_DATABASE").map_or(own_file, |path| folder.join(path));
            return Ok(Secret::new(format!("sqlite://{}", path.display())));
        }
        "mysql" | "mariadb" => ("mysql", "3306"),
        "pgsql" => ("postgres", "5432"),
        other => return Err(format!("the application's database is {other}, which qtop cannot read")),
    };
    let coded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut url = format!(
        "{scheme}://{}:{}@{}:{}/{}",
        coded(settings.or("DB_USERNAME", "root")),
        coded(settings.or("DB_PASSWORD", "")),
        settings.or("DB_HOST", "127.0.0.1"),
        settings.or("DB_PORT", port),
        coded(settings.or("DB_DATABASE", "laravel")),
    );
    if let Some(socket) = settings.get("DB_SOCKET") {
        url.push_str(&format!("?{}={}", if scheme == "mysql" { "socket" } else { "host" }, coded(socket)));
    }
    Ok(Secret::new(url))
}

/// A name as Laravel makes one of a title: lower case, words joined.
fn slug(title: &str, sign: char) -> String {
    let mut out = String::new();
    for letter in title.to_lowercase().chars() {
        if letter.is_alphanumeric() {
            out.push(letter);
        } else if (letter.is_whitespace() || matches!(letter, '-' | '_')) && !out.is_empty() && !out.ends_with(sign) {
            out.push(sign);
        }
    }
    out.trim_end_matches(sign).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(env: &str) -> Application {
        let mut application = Application::default();
        fill(&mut application, Path::new("/srv/shop"), &Settings::read(env));
        application
    }

    fn url(application: &Application) -> String {
        let failed = application.failed.as_ref().expect("a store");
        failed.url.as_ref().map(|url| url.expose().to_owned()).unwrap_or_default()
    }

    #[test]
    fn an_env_file_tells_prefix_and_database() {
        let application = filled(
            "# the shop\nAPP_NAME=\"My Shop\"\nexport DB_CONNECTION=mysql\nDB_HOST=db # inside\nDB_DATABASE='shop'\n\
             DB_USERNAME=app\nDB_PASSWORD=\"p@ss:\\\"${APP_NAME}\"\nDB_PORT=\n",
        );
        assert_eq!(application.likely_prefixes, ["my_shop_database_", "my-shop-database-"]);
        assert_eq!(url(&application), "mysql://app:p%40ss%3A%22My%20Shop@db:3306/shop");
        let pgsql = filled("DB_CONNECTION=pgsql\nDB_USERNAME=u\nREDIS_PREFIX=\nHORIZON_PREFIX=h:\n");
        assert_eq!(url(&pgsql), "postgres://u:@127.0.0.1:5432/laravel");
        assert_eq!((pgsql.prefix.as_deref(), pgsql.horizon_prefix.as_deref()), (Some(""), Some("h:")));
        let sqlite = filled("DB_CONNECTION=sqlite\nDB_DATABASE=data/shop.db\n");
        assert_eq!(url(&sqlite), "sqlite:///srv/shop/data/shop.db");
        assert_eq!(url(&filled("DB_URL=pgsql://u:p@h/d\n")), "postgres://u:p@h/d");
    }

    #[test]
    fn other_stores_are_told_apart() {
        let file = filled("QUEUE_FAILED_DRIVER=file\n");
        let path = file.failed.and_then(|failed| failed.path).expect("a path");
        assert_eq!(path, Path::new("/srv/shop/storage/framework/cache/failed-jobs.json"));
        let dynamo = filled("QUEUE_FAILED_DRIVER=dynamodb\n");
        assert!(dynamo.missing.expect("said").contains("dynamodb"));
        let odd = filled("DB_CONNECTION=sqlsrv\n");
        assert!(odd.missing.expect("said").contains("sqlsrv"));
    }

    #[test]
    fn what_the_description_says_goes_before_the_env_file() {
        let mut application = Application { prefix: Some("own_".to_owned()), ..Application::default() };
        fill(&mut application, Path::new("/srv"), &Settings::read("REDIS_PREFIX=env_\n"));
        assert_eq!(application.prefix.as_deref(), Some("own_"));
    }

    #[test]
    fn slugs_are_those_of_laravel() {
        for (title, sign, expected) in [
            ("My Shop", '_', "my_shop"),
            ("My-Shop 2", '-', "my-shop-2"),
            ("Laravel", '_', "laravel"),
            ("a  b_", '_', "a_b"),
        ] {
            assert_eq!(slug(title, sign), expected);
        }
    }
}
