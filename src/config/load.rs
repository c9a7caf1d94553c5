//! Finding, reading and laying over each other: defaults, file, environment, arguments.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use directories::{BaseDirs, ProjectDirs};

use super::check::{IDLE_TLS, IDLE_TLS_REMEDY, Known, check};
use super::convention::include;
use super::document::Document;
use super::error::ConfigProblems;
use super::overlay::{Overrides, lay_environment_over, lay_overrides_over};
use super::schema::{Config, Origin};
use super::server::Server;
use super::trusted::{Untrusted, find_secrets, read_trusted};
use crate::domain::problem::{Place, Problem, TextFile};

/// What the surroundings say: variables and folders. Taken once, so that a reload sees the same and tests need no
/// process-wide variables.
#[derive(Clone, Default)]
pub struct Environment {
    /// Environment variables.
    pub variables: HashMap<String, String>,
    /// The user's folder, for `~/`.
    pub home: Option<PathBuf>,
    /// Folder of the configuration file.
    pub config: Option<PathBuf>,
    /// Folder of logs and other state.
    pub state: Option<PathBuf>,
}

impl Environment {
    /// Of this process. Variables that are not text are left out.
    pub fn of_process() -> Self {
        let project = ProjectDirs::from("", "", "qtop");
        let state = |dirs: &ProjectDirs| dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned();
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            home: BaseDirs::new().map(|dirs| dirs.home_dir().to_owned()),
            config: project.as_ref().map(|dirs| dirs.config_dir().to_owned()),
            state: project.as_ref().map(state),
        }
    }

    /// The value of a variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The configuration file to read, and whether somebody asked for exactly that one.
    pub(super) fn file(&self, overrides: &Overrides) -> Option<(PathBuf, bool)> {
        let asked = overrides.config.clone().or_else(|| self.get("QTOP_CONFIG").map(PathBuf::from));
        match asked {
            Some(path) => Some((path, true)),
            None => self.config.as_ref().map(|folder| (folder.join("config.toml"), false)),
        }
    }
}

/// Reads the configuration.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load(overrides: &Overrides, environment: &Environment, known: &Known) -> Result<Config, ConfigProblems> {
    let mut config = match environment.file(overrides) {
        Some((path, asked)) => from_file(&path, asked, environment, known)?,
        None => Config::default(),
    };
    config.origin.logs = config.log.directory.clone().or_else(|| environment.state.clone());
    let mut problems = Vec::new();
    lay_environment_over(&mut config, environment, known, &mut problems);
    lay_overrides_over(&mut config, overrides, environment, known, &mut problems);
    find_secrets(&mut config, environment);
    super::laravel::find(&mut config, environment);
    if let Some(server) = config.servers.get(&config.origin.chosen)
        && let Some(missing) = &server.missing
    {
        let place = Place::WholeFile { name: format!("server {}", config.origin.chosen) };
        problems.push(Problem::of(place, missing.clone()).with_remedy("set it, or choose another server with -s NAME"));
    }
    if let Some(option) = config.servers.get(&config.origin.chosen).and_then(Server::idle_tls_option) {
        let place = Place::Argument(format!("--{}", option.replace('_', "-")));
        problems.push(Problem::of(place, IDLE_TLS).with_remedy(IDLE_TLS_REMEDY));
    }
    match ConfigProblems::new(problems) {
        Some(problems) => Err(problems),
        None => Ok(config),
    }
}

/// Reads a configuration from a text alone, without environment and arguments.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(file: &TextFile, known: &Known) -> Result<Config, ConfigProblems> {
    parse_within(file, Origin::default(), known)
}

fn parse_within(file: &TextFile, origin: Origin, known: &Known) -> Result<Config, ConfigProblems> {
    let (mut config, document, mut problems) = Document::read::<Config>(file);
    config.origin = origin;
    problems.extend(check(&config, &document, known));
    problems.sort_by_key(|problem| match problem.place {
        Place::File { line, column, .. } => (line, column),
        _ => (0, 0),
    });
    ConfigProblems::new(problems).map_or(Ok(config), Err)
}

fn from_file(path: &Path, asked: bool, environment: &Environment, known: &Known) -> Result<Config, ConfigProblems> {
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    let origin = Origin {
        file: Some(path.to_owned()),
        sources: vec![path.to_owned()],
        themes: Some(folder.join("themes")),
        ..Origin::default()
    };
    let file = match read_trusted(path) {
        Ok(text) => TextFile::new(path.display().to_string(), text),
        Err(Untrusted { missing: true, .. }) if !asked => {
            let origin = Origin { file: None, ..origin };
            return Ok(Config { origin, ..Config::default() });
        }
        Err(untrusted) => return Err(untrusted.problem(path).into()),
    };
    let mut config = parse_within(&file, origin, known)?;
    include(&mut config, &file, &folder, environment, known)?;
    let resolve = |path: &mut Option<PathBuf>| {
        if let Some(path) = path {
            *path = absolute(path, &folder, environment);
        }
    };
    for server in config.servers.values_mut() {
        let Server { url_file, password_file, ca, cert, key, .. } = server;
        [url_file, password_file, ca, cert, key].into_iter().for_each(resolve);
    }
    for application in &mut config.laravel {
        super::laravel::resolve(application, resolve);
    }
    resolve(&mut config.log.directory);
    resolve(&mut config.runner.directory);
    for handler in config.runner.pools.iter_mut().flat_map(|pool| &mut pool.handlers) {
        handler.resolve(&|path| absolute(path, &folder, environment));
    }
    for alert in &mut config.alerts {
        alert.hook.resolve(&|path| absolute(path, &folder, environment));
    }
    config.origin.named = config.servers.keys().cloned().collect();
    Ok(config)
}

/// `~/` is the user's folder; what is relative starts at the folder of the configuration file.
pub(super) fn absolute(path: &Path, folder: &Path, environment: &Environment) -> PathBuf {
    match (path.strip_prefix("~"), &environment.home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => folder.join(path),
    }
}
