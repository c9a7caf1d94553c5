//! Files that decide where qtop logs in, and with what: read only if nobody else may write them (S17).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::load::Environment;
use super::schema::Config;
use super::server::ServerUrl;
use crate::domain::problem::{Place, Problem};

/// Why a file is not used.
pub(super) struct Untrusted {
    /// There is no such file.
    pub(super) missing: bool,
    message: String,
    remedy: String,
}

impl Untrusted {
    pub(super) fn problem(self, path: &Path) -> Problem {
        Problem::of(Place::WholeFile { name: path.display().to_string() }, self.message).with_remedy(self.remedy)
    }
}

/// Reads a file that only its owner may write (S17): who can write it decides where qtop logs in.
pub(super) fn read_trusted(path: &Path) -> Result<String, Untrusted> {
    let unreadable = |error: io::Error| Untrusted {
        missing: error.kind() == io::ErrorKind::NotFound,
        message: match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            io::ErrorKind::InvalidData => "the file is not UTF-8 text".to_owned(),
            _ => format!("the file cannot be read: {error}"),
        },
        remedy: "check the path and its permissions".to_owned(),
    };
    let mut file = fs::File::open(path).map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    if facts.is_dir() {
        let remedy = format!("name the file in it, for example {}", path.join("config.toml").display());
        return Err(Untrusted { missing: false, message: "this is a folder, not a file".to_owned(), remedy });
    }
    refuse_foreign(&facts, path)?;
    let mut text = String::new();
    io::Read::read_to_string(&mut file, &mut text).map_err(unreadable)?;
    Ok(text)
}

#[cfg(unix)]
fn refuse_foreign(facts: &fs::Metadata, path: &Path) -> Result<(), Untrusted> {
    use std::os::unix::fs::MetadataExt;

    let mode = facts.mode() & 0o7777;
    if facts.is_file() && mode & 0o022 != 0 {
        let who = if mode & 0o002 != 0 { "everybody" } else { "its group" };
        let message = format!("{who} may write this file (mode {mode:o}), and it decides where qtop logs in");
        return Err(Untrusted { missing: false, message, remedy: format!("chmod go-w {}", path.display()) });
    }
    let (owner, me) = (facts.uid(), rustix::process::geteuid().as_raw());
    if facts.is_file() && owner != me && owner != 0 {
        let message = format!("this file belongs to user {owner}, and qtop runs as user {me}");
        let remedy = "use a file of your own, or run qtop as its owner".to_owned();
        return Err(Untrusted { missing: false, message, remedy });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_foreign(_: &fs::Metadata, _: &Path) -> Result<(), Untrusted> {
    Ok(())
}

/// Fills URLs and passwords from variables and files. What cannot be found is remembered with the server, because it
/// matters only when that server is used.
pub(super) fn find_secrets(config: &mut Config, environment: &Environment) {
    let mut sources = Vec::new();
    for server in config.servers.values_mut() {
        let mut find = |variable: &Option<String>, file: &Option<PathBuf>| -> Option<Result<String, String>> {
            if let Some(name) = variable {
                let value = environment.get(name).map(str::to_owned);
                return Some(value.ok_or_else(|| format!("the environment variable {name} is not set")));
            }
            let path = file.as_ref()?;
            sources.push(path.clone());
            let text = match read_trusted(path) {
                Ok(text) => text,
                Err(untrusted) => return Some(Err(untrusted.problem(path).line())),
            };
            let line = text.lines().next().unwrap_or_default().trim().to_owned();
            Some(if line.is_empty() { Err(format!("{}: the first line is empty", path.display())) } else { Ok(line) })
        };
        if server.url.is_none() {
            match find(&server.url_env, &server.url_file) {
                Some(Ok(url)) => server.url = Some(ServerUrl::new(url)),
                Some(Err(missing)) => server.missing = Some(missing),
                None => {}
            }
        }
        match find(&server.password_env, &server.password_file) {
            Some(Ok(password)) => server.password = Some(password.into()),
            Some(Err(missing)) => server.missing = Some(missing),
            None => {}
        }
    }
    config.origin.sources.append(&mut sources);
}
