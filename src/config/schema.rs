//! What the configuration says, as types. Unknown names are errors; what is left out has the default that
//! `config.example.toml` shows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alert::Alert;
use super::keys::Chords;
use super::runner::Runner;
use super::server::Server;
use super::values;
use crate::domain::appearance::{ColourChoice, GlyphChoice};
use crate::domain::described::{Application, ArqQueue, Convention, Described, ListSpec};

/// The whole configuration: file, environment and arguments laid over the defaults.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of the server to watch at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_server: Option<String>,
    /// Files with descriptions of queues that are read as if they stood here, or `recipe:NAME` for a shipped one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Which queue systems to look for.
    pub systems: Systems,
    /// How queues are found.
    pub discovery: Discovery,
    /// How often, and at what cost.
    pub refresh: Refresh,
    /// What the screen looks like.
    pub ui: Ui,
    /// How much is read at once.
    pub limits: Limits,
    /// Key bindings that replace an action's own, by the action's name.
    pub keys: BTreeMap<String, Chords>,
    /// qtop's own log.
    pub log: Log,
    /// Copies of what changes delete.
    pub trash: Trash,
    /// The worker pool.
    pub runner: Runner,
    /// Whom to tell when something is wrong.
    #[serde(rename = "alert", skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// Servers by name.
    #[serde(rename = "server", skip_serializing_if = "BTreeMap::is_empty")]
    pub servers: BTreeMap<String, Server>,
    /// Plain lists used as queues.
    #[serde(rename = "list", skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListSpec>,
    /// What Redis does not tell about ARQ queues.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arq: Vec<ArqQueue>,
    /// What Redis does not tell about Laravel applications.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub laravel: Vec<Application>,
    /// What applications agree upon beside their queue systems.
    #[serde(rename = "convention", skip_serializing_if = "Vec::is_empty")]
    pub conventions: Vec<Convention>,
    /// Where all this comes from; not part of the file.
    #[serde(skip)]
    pub origin: Origin,
}

/// Which queue systems to look for.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Systems {
    /// Names; empty: all.
    pub enabled: Vec<String>,
    /// Names to leave out.
    pub disabled: Vec<String>,
}

impl Systems {
    /// True if a system is to be looked for.
    pub fn admits(&self, name: &str) -> bool {
        let among = |names: &[String]| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
        (self.enabled.is_empty() || among(&self.enabled)) && !among(&self.disabled)
    }
}

/// How queues are found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Discovery {
    /// Globs over names and addresses of the queues to show; empty: all.
    pub queues: Vec<String>,
    /// Globs over keys that are no queues and over addresses of queues that are not to be shown.
    pub ignore: Vec<String>,
    /// Search the keyspace.
    pub scan: bool,
    /// Greatest share of the server's time for that search, 0 to 1.
    pub scan_share: f64,
}

impl Default for Discovery {
    fn default() -> Self {
        Self { queues: Vec::new(), ignore: Vec::new(), scan: true, scan_share: 0.05 }
    }
}

/// Copies of what changes delete, kept on this machine so that they can be undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trash {
    /// Bytes all copies together may take. A change that would need more is refused.
    #[serde(with = "values::size")]
    pub cap: u64,
}

impl Default for Trash {
    fn default() -> Self {
        Self { cap: 1 << 30 }
    }
}

/// How often, and at what cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Refresh {
    /// Between two refreshes while all is well.
    #[serde(with = "values::time")]
    pub interval: Duration,
    /// The interval never grows beyond this.
    #[serde(with = "values::time")]
    pub max_interval: Duration,
    /// Nobody looks if no key was pressed for so long.
    #[serde(with = "values::time")]
    pub idle_after: Duration,
    /// Between two refreshes while nobody looks.
    #[serde(with = "values::time")]
    pub idle_interval: Duration,
    /// What qtop may cost a server.
    pub budget: Budget,
}

impl Default for Refresh {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(30),
            idle_after: Duration::from_secs(600),
            idle_interval: Duration::from_secs(30),
            budget: Budget::default(),
        }
    }
}

/// What qtop may cost a server, on average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Commands sent per second.
    pub commands_per_second: u32,
    /// Bytes sent and received per second.
    #[serde(with = "values::size")]
    pub bytes_per_second: u64,
    /// Share of one processor core of the server, 0 to 1.
    pub server_share: f64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { commands_per_second: 2000, bytes_per_second: 50 << 10, server_share: 0.005 }
    }
}

/// What the screen looks like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ui {
    /// A built-in theme or the name of a file in the folder `themes`.
    pub theme: String,
    /// How many colours.
    pub color: ColourChoice,
    /// Which signs.
    pub glyphs: GlyphChoice,
    /// How moments are written.
    pub time: TimeStyle,
    /// Catch the mouse.
    pub mouse: bool,
    /// The time of day in the header.
    pub clock: bool,
    /// Characters that separate the levels of queue names in the tree view; any of them does.
    pub tree_delimiter: String,
    /// Columns by screen; a screen that is not named shows as many as fit.
    pub columns: BTreeMap<String, Vec<String>>,
}

impl Default for Ui {
    fn default() -> Self {
        Self {
            theme: "dark".to_owned(),
            color: ColourChoice::default(),
            glyphs: GlyphChoice::default(),
            time: TimeStyle::default(),
            mouse: false,
            clock: false,
            tree_delimiter: ":/.".to_owned(),
            columns: BTreeMap::new(),
        }
    }
}

/// How moments are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeStyle {
    /// `38s` ago.
    #[default]
    Relative,
    /// Local time of day.
    Local,
    /// UTC.
    Utc,
}

/// How much is read at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Jobs in a page of a list, 1 to 500 (P3).
    pub page: usize,
    /// Newest failed jobs of each queue that are grouped.
    pub failures: usize,
    /// Jobs on the Running screen.
    pub running: usize,
    /// Jobs of each queue on the Scheduled screen.
    pub scheduled: usize,
    /// Bytes of payload, result and options read of an opened job (P7).
    #[serde(with = "values::size")]
    pub payload: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { page: 100, failures: 500, running: 500, scheduled: 100, payload: 64 << 10 }
    }
}

/// qtop's own log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level, or directives by module.
    pub level: String,
    /// Daily files that are kept, at least 1.
    pub keep_days: u16,
    /// Folder; `None`: the state folder of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), keep_days: 7, directory: None }
    }
}

/// Where a configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Origin {
    /// The file that was read; `None`: there is none, and the defaults hold.
    pub file: Option<PathBuf>,
    /// Every file that had a say, the configuration first, then files of secrets.
    pub sources: Vec<PathBuf>,
    /// Folder of the user's themes.
    pub themes: Option<PathBuf>,
    /// Folder of the log files.
    pub logs: Option<PathBuf>,
    /// Names of the servers the file describes; the others come from arguments or the environment.
    pub named: Vec<String>,
    /// Name of the server to watch; always one of `servers` after loading.
    pub chosen: String,
}

impl Config {
    /// Descriptions for the adapters, of all servers; see [`Described::for_server`].
    pub fn described(&self) -> Described {
        Described {
            lists: self.lists.clone(),
            arq: self.arq.clone(),
            laravel: self.laravel.clone(),
            conventions: self.conventions.clone(),
        }
    }
}
