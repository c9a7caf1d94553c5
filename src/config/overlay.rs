//! Environment and arguments, laid over what the file says.

use std::path::PathBuf;
use std::time::Duration;

use super::check::{Known, LEVEL_EXPECTED, log_level};
use super::load::Environment;
use super::schema::Config;
use super::server::{Server, ServerUrl};
use super::values;
use crate::domain::appearance::{ColourChoice, GlyphChoice};
use crate::domain::problem::{Place, Problem, nearest};

/// What the command line says. Whatever is left out comes from the environment, the file or the defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--url`.
    pub url: Option<ServerUrl>,
    /// `--server`.
    pub server: Option<String>,
    /// A private server of this machine, which is chosen whatever else is described or named.
    pub local: Option<ServerUrl>,
    /// `--ca`.
    pub ca: Option<PathBuf>,
    /// `--cert`.
    pub cert: Option<PathBuf>,
    /// `--key`.
    pub key: Option<PathBuf>,
    /// `--insecure`.
    pub insecure: bool,
    /// `--read-only`.
    pub read_only: bool,
    /// `--queue`, any number of times.
    pub queues: Vec<String>,
    /// `--system`, any number of times.
    pub systems: Vec<String>,
    /// `--theme`.
    pub theme: Option<String>,
    /// `--color`.
    pub color: Option<ColourChoice>,
    /// `--ascii`.
    pub ascii: bool,
    /// `--interval`, as it was written.
    pub interval: Option<String>,
    /// `--log-level`.
    pub log: Option<String>,
}

pub(super) fn lay_environment_over(
    config: &mut Config,
    environment: &Environment,
    known: &Known,
    problems: &mut Vec<Problem>,
) {
    if let Some(name) = environment.get("QTOP_THEME") {
        choose_theme(config, name, Place::Variable("QTOP_THEME".to_owned()), known, problems);
    }
    let mut wrong = |name: &str, value: &str, expected: &str| {
        let message = format!("\"{value}\" does not fit here");
        let remedy = format!("set it to {expected}, or unset it");
        problems.push(Problem::of(Place::Variable(name.to_owned()), message).with_remedy(remedy));
    };
    if let Some(value) = environment.get("QTOP_COLOR") {
        match value.parse() {
            Ok(choice) => config.ui.color = choice,
            Err(_) => wrong("QTOP_COLOR", value, "auto, none, 16, 256 or true"),
        }
    }
    if let Some(value) = environment.get("QTOP_GLYPHS") {
        match value.parse() {
            Ok(choice) => config.ui.glyphs = choice,
            Err(_) => wrong("QTOP_GLYPHS", value, "auto, unicode or ascii"),
        }
    }
    if let Some(value) = environment.get("QTOP_INTERVAL") {
        match interval(value) {
            Some(time) => config.refresh.interval = time,
            None => wrong("QTOP_INTERVAL", value, INTERVAL),
        }
    }
    if let Some(value) = environment.get("QTOP_LOG") {
        match log_level(value) {
            Ok(()) => config.log.level = value.to_owned(),
            Err(_) => wrong("QTOP_LOG", value, LEVEL_EXPECTED),
        }
    }
}

const INTERVAL: &str = "a time of 100ms or more, for example 2s";

fn interval(text: &str) -> Option<Duration> {
    values::time::parse(text).filter(|time| *time >= Duration::from_millis(100))
}

pub(super) fn lay_overrides_over(
    config: &mut Config,
    overrides: &Overrides,
    environment: &Environment,
    known: &Known,
    problems: &mut Vec<Problem>,
) {
    choose_server(config, overrides, environment, known, problems);
    let read_only = match environment.get("QTOP_READ_ONLY") {
        None | Some("0" | "false" | "no") => overrides.read_only,
        Some(_) => true,
    };
    let chosen = config.origin.chosen.clone();
    for (name, server) in &mut config.servers {
        // A wish to change nothing holds wherever one goes; certificates belong to one server.
        if read_only {
            server.read_only = Some(true);
        }
        if *name == chosen {
            lay_tls_over(server, overrides, problems);
        }
    }
    if !overrides.queues.is_empty() {
        config.discovery.queues.clone_from(&overrides.queues);
    }
    for name in &overrides.systems {
        if !known.systems.is_empty() && !known.systems.contains(&name.as_str()) {
            let remedy = match nearest(name, known.systems.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("qtop knows: {}", known.systems.join(", ")),
            };
            let message = format!("there is no queue system \"{name}\"");
            problems.push(Problem::of(Place::Argument("--system".to_owned()), message).with_remedy(remedy));
        }
    }
    if !overrides.systems.is_empty() {
        config.systems.enabled.clone_from(&overrides.systems);
        config.systems.disabled.clear();
    }
    if let Some(name) = &overrides.theme {
        choose_theme(config, name, Place::Argument("--theme".to_owned()), known, problems);
    }
    if let Some(color) = overrides.color {
        config.ui.color = color;
    }
    if overrides.ascii {
        config.ui.glyphs = GlyphChoice::Ascii;
    }
    if let Some(text) = &overrides.interval {
        match interval(text) {
            Some(time) => config.refresh.interval = time,
            None => {
                let problem = Problem::of(Place::Argument("--interval".to_owned()), format!("not a time: \"{text}\""));
                problems.push(problem.with_remedy(format!("give {INTERVAL}")));
            }
        }
    }
    config.refresh.max_interval = config.refresh.max_interval.max(config.refresh.interval);
    if let Some(level) = &overrides.log {
        match log_level(level) {
            Ok(()) => config.log.level.clone_from(level),
            Err(word) => {
                let problem =
                    Problem::of(Place::Argument("--log-level".to_owned()), format!("\"{word}\" is not a log level"));
                problems.push(problem.with_remedy(format!("give {LEVEL_EXPECTED}")));
            }
        }
    }
}

fn choose_theme(config: &mut Config, name: &str, place: Place, known: &Known, problems: &mut Vec<Problem>) {
    let names = known.themes.map(|themes| themes(config.origin.themes.as_deref())).unwrap_or_default();
    if !names.is_empty() && !names.iter().any(|known| known == name) {
        let remedy = match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("the themes are: {}", names.join(", ")),
        };
        problems.push(Problem::of(place, format!("there is no theme \"{name}\"")).with_remedy(remedy));
    }
    config.ui.theme = name.to_owned();
}

fn lay_tls_over(server: &mut Server, overrides: &Overrides, problems: &mut Vec<Problem>) {
    for (slot, given) in
        [(&mut server.ca, &overrides.ca), (&mut server.cert, &overrides.cert), (&mut server.key, &overrides.key)]
    {
        if given.is_some() {
            slot.clone_from(given);
        }
    }
    if overrides.insecure && server.is_production() {
        let problem =
            Problem::of(Place::Argument("--insecure".to_owned()), "a production server needs its certificate checked");
        problems.push(problem.with_remedy("give the authority's certificate instead: --ca PATH"));
    }
    server.insecure |= overrides.insecure;
    if server.cert.is_some() != server.key.is_some() {
        let problem = Problem::of(Place::Argument("--cert and --key".to_owned()), "one of them is missing");
        problems.push(problem.with_remedy("give both: certificate and key belong together"));
    }
}

/// Name of the private server in headers and messages.
const LOCAL: &str = "local";

/// Settles which server is watched. A URL from outside becomes a server of its own, named after its host.
fn choose_server(
    config: &mut Config,
    overrides: &Overrides,
    environment: &Environment,
    known: &Known,
    problems: &mut Vec<Problem>,
) {
    if let Some(url) = &overrides.local {
        config.servers.insert(LOCAL.to_owned(), Server { url: Some(url.clone()), ..Server::default() });
        LOCAL.clone_into(&mut config.origin.chosen);
        return;
    }
    let argument = |name: &str| Place::Argument(name.to_owned());
    let variable = |name: &str| Place::Variable(name.to_owned());
    let url = |name: &str| environment.get(name).map(ServerUrl::new);
    let outside = match (&overrides.url, &overrides.server) {
        (Some(url), _) => Some((url.clone(), argument("--url"))),
        (None, Some(_)) => None,
        (None, None) => url("QTOP_URL").map(|url| (url, variable("QTOP_URL"))).or_else(|| {
            let named = environment.get("QTOP_SERVER").is_some();
            url("REDIS_URL").filter(|_| !named).map(|url| (url, variable("REDIS_URL")))
        }),
    };
    if let Some((url, place)) = outside {
        if let Some(Err(message)) = known.url.map(|test| test(url.expose())) {
            problems.push(Problem::of(place, message).with_remedy("write it like redis://host:6379/0"));
        }
        let name = short_name(&url);
        config.servers.insert(name.clone(), Server { url: Some(url), ..Server::default() });
        config.origin.chosen = name;
        return;
    }
    let wanted = match (&overrides.server, environment.get("QTOP_SERVER")) {
        (Some(name), _) => Some((name.clone(), argument("--server"))),
        (None, Some(name)) => Some((name.to_owned(), variable("QTOP_SERVER"))),
        (None, None) => None,
    };
    if let Some((name, place)) = wanted {
        if !config.servers.contains_key(&name) {
            let names: Vec<&str> = config.servers.keys().map(String::as_str).collect();
            let remedy = match nearest(&name, names.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None if names.is_empty() => format!("describe it in the configuration: [server.{name}]"),
                None => format!("the configuration describes: {}", names.join(", ")),
            };
            problems.push(Problem::of(place, format!("there is no server \"{name}\"")).with_remedy(remedy));
        }
        config.origin.chosen = name;
        return;
    }
    let only = config.servers.keys().next().filter(|_| config.servers.len() == 1).cloned();
    match config.default_server.clone().or(only) {
        Some(name) => config.origin.chosen = name,
        None if config.servers.is_empty() => {
            let url = ServerUrl::new("redis://127.0.0.1:6379");
            config.origin.chosen = short_name(&url);
            config.servers.insert(config.origin.chosen.clone(), Server { url: Some(url), ..Server::default() });
        }
        None => {
            let names: Vec<&str> = config.servers.keys().map(String::as_str).collect();
            let file = config.origin.file.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            let problem = Problem::of(
                Place::WholeFile { name: file },
                format!("several servers are described ({}) and none is chosen", names.join(", ")),
            );
            problems.push(problem.with_remedy(format!(
                "add default_server = \"{}\" above the first table, or run qtop -s {}",
                names[0], names[0]
            )));
        }
    }
}

/// A name for a server of which only the URL is known: host and port, without login and parameters.
fn short_name(url: &ServerUrl) -> String {
    let safe = url.safe();
    let rest = safe.split_once("://").map_or(safe.as_str(), |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() { "server".to_owned() } else { rest.to_owned() }
}
