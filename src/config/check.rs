//! What a configuration means: values that are well written but cannot be right. All problems are collected.

mod alert;
mod runner;

use std::path::Path;
use std::time::Duration;

use super::document::{Document, Step};
use super::keys::KeyProblem;
use super::schema::Config;
use crate::domain::described::ArqQueue;
use crate::domain::problem::{Problem, nearest};

/// Shortest interval between two refreshes.
const SHORTEST: Duration = Duration::from_millis(100);

/// Most entries that one command may ask for (P3).
const LONGEST_PAGE: usize = 500;
/// Most rows that a screen collects in one go.
const LONGEST_LIST: usize = 100_000;

/// Larger payloads are never taken apart (S6).
const LARGEST_PAYLOAD: u64 = 16 << 20;

/// Names of the themes that can be chosen, given the folder of the user's own.
pub type ThemeNames = fn(Option<&Path>) -> Vec<String>;

/// Says what is wrong with a URL, without repeating it.
pub type UrlTest = fn(&str) -> Result<(), String>;

/// Names and rules that other layers own. What is left empty is not checked.
#[derive(Clone, Default)]
pub struct Known {
    /// Names of actions, for `[keys]`.
    pub actions: Vec<&'static str>,
    /// Finds bindings that cannot be parsed or contradict each other.
    pub keys: Option<fn(&Config) -> Vec<KeyProblem>>,
    /// Names of queue systems.
    pub systems: Vec<&'static str>,
    /// States of all queue systems.
    pub states: Vec<&'static str>,
    /// Codes of what may be found about queues and servers.
    pub findings: Vec<&'static str>,
    /// Columns by screen.
    pub columns: Vec<(&'static str, Vec<&'static str>)>,
    /// Names of themes.
    pub themes: Option<ThemeNames>,
    /// Test for URLs.
    pub url: Option<UrlTest>,
}

/// Finds what cannot be right, with its place in the file.
pub(super) fn check(config: &Config, document: &Document<'_>, known: &Known) -> Vec<Problem> {
    let mut check = Check { document, known, problems: Vec::new() };
    check.servers(config);
    check.systems(config);
    check.refresh(config);
    check.ui(config);
    check.limits(config);
    check.keys(config);
    check.log(config);
    check.lists(config);
    check.conventions(config);
    check.laravel(config);
    check.arq(config);
    check.runner(config);
    check.alerts(config);
    check.problems
}

pub(super) struct Check<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) known: &'a Known,
    problems: Vec<Problem>,
}

/// Said of a certificate or the like where nothing is encrypted (S16).
pub(super) const IDLE_TLS: &str = "this has no effect: the connection is not encrypted";
/// What to do about [`IDLE_TLS`].
pub(super) const IDLE_TLS_REMEDY: &str = "write the URL with rediss:// (two s), or leave this out";

impl Check<'_> {
    pub(super) fn add(
        &mut self,
        path: &[Step],
        message: impl Into<String>,
        expected: Option<String>,
        remedy: Option<String>,
    ) {
        let place = self.document.place(path);
        if !self.document.is_broken(path) && !self.document.is_damaged(&place) {
            self.problems.push(Problem::build(self.document.file(), place, message, expected, remedy));
        }
    }

    fn add_name(&mut self, path: &[&str], message: impl Into<String>, remedy: Option<String>) {
        let place = self.document.name_place(path);
        self.problems.push(Problem::build(self.document.file(), place, message, None, remedy));
    }

    /// A name that must be one of a set, if the set is known.
    pub(super) fn one_of(&mut self, path: &[Step], what: &str, name: &str, set: &[&str]) {
        if !set.is_empty() && !set.contains(&name) {
            self.add(path, format!("there is no {what} \"{name}\""), None, Some(suggestion(name, set)));
        }
    }

    fn servers(&mut self, config: &Config) {
        if let Some(name) = &config.default_server
            && !config.servers.contains_key(name)
        {
            let names: Vec<&str> = config.servers.keys().map(String::as_str).collect();
            let remedy = match names.is_empty() {
                true => format!("describe it: [server.{name}] with url = \"redis://…\""),
                false => suggestion(name, &names),
            };
            self.add(&["default_server".into()], format!("there is no server \"{name}\""), None, Some(remedy));
        }
        for (name, server) in &config.servers {
            let at = |key: &str| vec!["server".into(), name.as_str().into(), key.into()];
            if name.trim().is_empty() || name.chars().any(char::is_control) {
                let remedy = "call it by a word, for example [server.prod]".to_owned();
                self.add_name(&["server", name], "a server needs a name that can be shown", Some(remedy));
            }
            let places = [
                ("url", server.url.is_some()),
                ("url_env", server.url_env.is_some()),
                ("url_file", server.url_file.is_some()),
            ];
            let mut given = places.iter().filter(|(_, given)| *given).map(|(key, _)| *key);
            match (given.next(), given.next()) {
                (None, _) => {
                    let remedy =
                        "add url = \"redis://…\", or url_env or url_file to keep it out of this file".to_owned();
                    let path = ["server".into(), name.as_str().into()];
                    if !self.document.is_broken(&path) {
                        self.add_name(&["server", name], format!("the server \"{name}\" has no URL"), Some(remedy));
                    }
                }
                (Some(first), Some(second)) => {
                    let message = format!("`{first}` says already where this server is");
                    self.add(&at(second), message, None, Some("keep one of them".to_owned()));
                }
                (Some(_), None) => {}
            }
            if server.password_env.is_some() && server.password_file.is_some() {
                let message = "`password_env` says already where the password is";
                self.add(&at("password_file"), message, None, Some("keep one of them".to_owned()));
            }
            for (one, other, given) in [
                ("cert", "key", server.cert.is_some() && server.key.is_none()),
                ("key", "cert", server.key.is_some() && server.cert.is_none()),
            ] {
                if given {
                    let remedy = format!("add {other} = \"PATH\": certificate and key belong together");
                    self.add(&at(one), format!("`{one}` without `{other}`"), None, Some(remedy));
                }
            }
            if let Some(option) = server.idle_tls_option() {
                self.add(&at(option), IDLE_TLS, None, Some(IDLE_TLS_REMEDY.to_owned()));
            }
            if server.insecure && server.is_production() {
                let remedy = "give the authority's certificate instead: ca = \"PATH\"".to_owned();
                self.add(&at("insecure"), "a production server needs its certificate checked", None, Some(remedy));
            }
            if let (Some(url), Some(test)) = (&server.url, self.known.url)
                && let Err(message) = test(url.expose())
            {
                self.add(&at("url"), message, Some("\"redis://host:6379/0\" or the like".to_owned()), None);
            }
        }
    }

    fn systems(&mut self, config: &Config) {
        let known = self.known;
        for (key, names) in [("enabled", &config.systems.enabled), ("disabled", &config.systems.disabled)] {
            for (index, name) in names.iter().enumerate() {
                let path = ["systems".into(), key.into(), index.into()];
                self.one_of(&path, "queue system", name, &known.systems);
            }
        }
        for (index, name) in config.systems.disabled.iter().enumerate() {
            if config.systems.enabled.contains(name) {
                let remedy = Some("keep it in one of the lists".to_owned());
                let path = ["systems".into(), "disabled".into(), index.into()];
                self.add(&path, format!("\"{name}\" is enabled and disabled"), None, remedy);
            }
        }
        if !known.systems.is_empty() && !known.systems.iter().any(|name| config.systems.admits(name)) {
            let remedy = Some("take one of them out of `disabled`".to_owned());
            self.add(&["systems".into(), "disabled".into()], "no queue system is left", None, remedy);
        }
        for (index, glob) in config.discovery.queues.iter().enumerate() {
            if glob.is_empty() {
                let remedy = "write a glob such as \"mail*\", or an empty list for all queues".to_owned();
                let path = ["discovery".into(), "queues".into(), index.into()];
                self.add(&path, "an empty glob matches no queue", None, Some(remedy));
            }
        }
        self.share(&["discovery", "scan_share"], config.discovery.scan_share);
    }

    fn share(&mut self, path: &[&str], share: f64) {
        if !(share > 0.0 && share <= 1.0) {
            let steps: Vec<Step> = path.iter().copied().map(Step::from).collect();
            let expected = Some("a share above 0 and up to 1; 0.05 is 5 %".to_owned());
            self.add(&steps, format!("{share} is not a share"), expected, None);
        }
    }

    fn refresh(&mut self, config: &Config) {
        let refresh = &config.refresh;
        for (key, time) in [("interval", refresh.interval), ("idle_interval", refresh.idle_interval)] {
            if time < SHORTEST {
                let expected = Some("100ms or more".to_owned());
                self.add(&["refresh".into(), key.into()], "nobody can read that fast", expected, None);
            }
        }
        if refresh.max_interval < refresh.interval {
            let both = ["max_interval", "interval"].map(|key| vec!["refresh".into(), key.into()]);
            let written = both.iter().find(|path| self.document.place(path) != self.document.place(&path[..1]));
            let remedy = "set `max_interval` to `interval` or more".to_owned();
            let path = written.unwrap_or(&both[0]).clone();
            self.add(&path, "`max_interval` is below `interval`", None, Some(remedy));
        }
        if refresh.budget.commands_per_second == 0 {
            let path = ["refresh".into(), "budget".into(), "commands_per_second".into()];
            self.add(&path, "with no command nothing can be shown", Some("1 or more".to_owned()), None);
        }
        if refresh.budget.bytes_per_second < 1024 {
            let path = ["refresh".into(), "budget".into(), "bytes_per_second".into()];
            self.add(&path, "with so few bytes nothing can be shown", Some("\"1KiB\" or more".to_owned()), None);
        }
        self.share(&["refresh", "budget", "server_share"], refresh.budget.server_share);
    }

    fn ui(&mut self, config: &Config) {
        if let Some(themes) = self.known.themes {
            let names = themes(config.origin.themes.as_deref());
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            self.one_of(&["ui".into(), "theme".into()], "theme", &config.ui.theme, &names);
        }
        if config.ui.tree_delimiter.is_empty() {
            let expected = Some("one or more characters, for example \":/.\"".to_owned());
            self.add(&["ui".into(), "tree_delimiter".into()], "an empty text separates nothing", expected, None);
        }
        let known = self.known;
        let screens: Vec<&str> = known.columns.iter().map(|(screen, _)| *screen).collect();
        for (screen, columns) in &config.ui.columns {
            let path = |index: usize| ["ui".into(), "columns".into(), screen.as_str().into(), index.into()];
            let Some((_, set)) = known.columns.iter().find(|(name, _)| name == screen) else {
                if !screens.is_empty() {
                    let message = format!("there is no screen \"{screen}\" with columns");
                    self.add_name(&["ui", "columns", screen], message, Some(suggestion(screen, &screens)));
                }
                continue;
            };
            for (index, column) in columns.iter().enumerate() {
                self.one_of(&path(index), "column", column, set);
                if columns[..index].contains(column) {
                    let remedy = Some("name every column once".to_owned());
                    self.add(&path(index), format!("the column \"{column}\" is named twice"), None, remedy);
                }
            }
            if columns.is_empty() {
                let remedy = Some("name the columns to show, or leave the screen out for as many as fit".to_owned());
                let path = ["ui".into(), "columns".into(), screen.as_str().into()];
                self.add(&path, "a screen without columns shows nothing", None, remedy);
            }
        }
    }

    fn limits(&mut self, config: &Config) {
        let limits = &config.limits;
        for (key, value, most) in [
            ("page", limits.page, LONGEST_PAGE),
            ("failures", limits.failures, LONGEST_LIST),
            ("running", limits.running, LONGEST_LIST),
            ("scheduled", limits.scheduled, LONGEST_LIST),
        ] {
            if !(1..=most).contains(&value) {
                let path = ["limits".into(), key.into()];
                self.add(&path, format!("{value} is not possible here"), Some(format!("1 to {most}")), None);
            }
        }
        if !(1..=LARGEST_PAYLOAD).contains(&limits.payload) {
            let path = ["limits".into(), "payload".into()];
            self.add(&path, "this is not a sensible part of a payload", Some("\"1B\" to \"16MiB\"".to_owned()), None);
        }
    }

    fn keys(&mut self, config: &Config) {
        let known = self.known;
        for action in config.keys.keys() {
            if !known.actions.is_empty() && !known.actions.contains(&action.as_str()) {
                let remedy = match nearest(action, known.actions.iter().copied()) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => "the palette (`:`) and the help (`?`) name all actions".to_owned(),
                };
                self.add_name(&["keys", action], format!("there is no action \"{action}\""), Some(remedy));
            }
        }
        for problem in known.keys.map(|test| test(config)).unwrap_or_default() {
            let mut path: Vec<Step> = vec!["keys".into(), problem.action.as_str().into()];
            path.extend(problem.chord.map(Step::from));
            self.add(&path, problem.message, None, problem.remedy);
        }
    }

    fn log(&mut self, config: &Config) {
        if let Err(word) = log_level(&config.log.level) {
            let message = format!("\"{word}\" is not a log level");
            let remedy = nearest(&word, LEVELS).map(|near| format!("did you mean \"{near}\"?"));
            self.add(&["log".into(), "level".into()], message, Some(LEVEL_EXPECTED.to_owned()), remedy);
        }
        if config.log.keep_days == 0 {
            let expected = Some("1 or more".to_owned());
            self.add(&["log".into(), "keep_days".into()], "the file of today is always kept", expected, None);
        }
    }

    fn arq(&mut self, config: &Config) {
        let names: Vec<&str> = config.servers.keys().map(String::as_str).collect();
        for (index, queue) in config.arq.iter().enumerate() {
            let at = |field: &str| -> Vec<Step> { vec!["arq".into(), index.into(), field.into()] };
            let lost = |check: &Self| check.document.lost_from(&["arq".into(), index.into()]);
            let earlier = &config.arq[..index];
            let apart = |other: &ArqQueue| {
                let named = |server: &str| other.servers.is_empty() || other.servers.iter().any(|name| name == server);
                !queue.servers.is_empty() && !queue.servers.iter().any(named)
            };
            if queue.queue.is_empty() {
                self.add(&at("queue"), "a queue needs its key", None, Some("write queue = \"arq:queue\"".to_owned()));
            } else if earlier.iter().any(|other| other.queue == queue.queue && !apart(other)) && !lost(self) {
                let remedy = "keep one table for each queue of a server".to_owned();
                self.add(&at("queue"), "another [[arq]] is about this queue", None, Some(remedy));
            }
            if queue.health_check_key.as_deref() == Some("") {
                let remedy = "leave it out where the workers have none of their own".to_owned();
                self.add(&at("health_check_key"), "this key is empty", None, Some(remedy));
            }
            for (server, name) in queue.servers.iter().enumerate() {
                let path = ["arq".into(), index.into(), "servers".into(), server.into()];
                self.one_of(&path, "server", name, &names);
            }
        }
    }

    fn laravel(&mut self, config: &Config) {
        for (path, message, remedy) in super::laravel::problems(config) {
            // Something beside it was misspelled, perhaps what is missed here.
            if path.split_last().is_some_and(|(_, table)| self.document.lost_from(table)) {
                continue;
            }
            self.add(&path, message, None, Some(remedy));
        }
        let names: Vec<&str> = config.servers.keys().map(String::as_str).collect();
        for (index, application) in config.laravel.iter().enumerate() {
            for (server, name) in application.servers.iter().enumerate() {
                let path = ["laravel".into(), index.into(), "servers".into(), server.into()];
                self.one_of(&path, "server", name, &names);
            }
        }
    }

    fn lists(&mut self, config: &Config) {
        for problem in config.described().problems() {
            let mut path: Vec<Step> = vec!["list".into(), problem.list.into()];
            path.extend(steps(&problem.field));
            // Something beside it was misspelled, perhaps what is missed here.
            if path.split_last().is_some_and(|(_, table)| self.document.lost_from(table)) {
                continue;
            }
            self.add(&path, problem.text, None, None);
        }
        if config.servers.is_empty() {
            return;
        }
        let names: Vec<&str> = config.servers.keys().map(String::as_str).collect();
        for (list, spec) in config.lists.iter().enumerate() {
            for (index, server) in spec.servers.iter().enumerate() {
                let path = ["list".into(), list.into(), "servers".into(), index.into()];
                self.one_of(&path, "server", server, &names);
            }
        }
    }
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// What [`log_level`] accepts, for messages.
pub(super) const LEVEL_EXPECTED: &str = "error, warn, info, debug or trace, also by module: \"warn,qtop::link=debug\"";

/// Tests directives for the log; the error is the word that is none. tracing itself would take a misspelled level for
/// the name of a module.
pub(super) fn log_level(text: &str) -> Result<(), String> {
    for directive in text.split(',') {
        let (module, level) =
            directive.split_once('=').map_or((None, directive), |(module, level)| (Some(module), level));
        let is_level = LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level.trim()));
        if !is_level || module.is_some_and(|module| module.trim().is_empty()) {
            return Err(directive.trim().to_owned());
        }
    }
    Ok(())
}

fn suggestion(name: &str, set: &[&str]) -> String {
    match nearest(name, set.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("choose one of: {}", set.join(", ")),
    }
}

/// `heartbeat[1].pattern` as steps.
pub(super) fn steps(field: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in field.split('.') {
        let mut pieces = part.split(['[', ']']).filter(|piece| !piece.is_empty());
        steps.extend(pieces.next().map(Step::from));
        steps.extend(pieces.filter_map(|piece| piece.parse::<usize>().ok()).map(Step::from));
    }
    steps
}
