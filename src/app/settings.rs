//! What the configuration says about the screen; replaced as a whole when the file changes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::columns::{self, Column};
use super::state::TimeStyle;
use crate::domain::state::StateKind;

/// Settings of the screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Keys by action name, laid over the defaults.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Columns by table and name, in order; a table that is not named shows all it has.
    pub columns: BTreeMap<String, Vec<String>>,
    /// The time of day is in the header. Off by default: it alone would redraw an idle screen every second (F5).
    pub show_clock: bool,
    /// Interval between ticks.
    pub interval: Duration,
    /// Without a key for so long nobody is looking (P16).
    pub idle_after: Duration,
    /// Separates the levels of queue names in the tree; any of its characters does.
    pub tree_delimiter: String,
    /// Rows in a page of jobs, 1 to 500 (P3).
    pub page_rows: usize,
    /// The newest so many failed jobs of each queue are grouped.
    pub failure_window: usize,
    /// At most so many jobs on the Running screen.
    pub running_limit: usize,
    /// At most so many jobs of each queue on the Scheduled screen.
    pub scheduled_limit: usize,
    /// Bytes of payload read of an opened job.
    pub payload_bytes: u64,
    /// How times are shown at the start.
    pub time_style: TimeStyle,
    /// The mouse is caught at the start.
    pub mouse: bool,
    /// Name of the theme.
    pub theme: String,
    /// Themes that can be chosen.
    pub theme_names: Vec<String>,
    /// Names of the configured servers, for `:server` and completion.
    pub server_names: Vec<String>,
}

impl Settings {
    /// The columns of a table that a person chose, in their order; all of them if nothing was chosen.
    pub fn columns_of(&self, table: &str) -> Vec<&'static Column> {
        let all = columns::all(table);
        match self.columns.get(table) {
            Some(chosen) => chosen.iter().filter_map(|name| all.iter().find(|column| column.name == name)).collect(),
            None => all.iter().collect(),
        }
    }

    /// As [`Self::columns_of`] for jobs in a state of this kind: those that say something there. If none of the chosen
    /// ones does, the usual ones are shown.
    pub fn columns_of_jobs(&self, kind: StateKind) -> Vec<&'static Column> {
        let usual: Vec<_> = columns::jobs(kind).collect();
        let mut chosen = self.columns_of("jobs");
        chosen.retain(|column| usual.contains(column));
        if chosen.is_empty() || !self.columns.contains_key("jobs") { usual } else { chosen }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            columns: BTreeMap::new(),
            show_clock: false,
            interval: Duration::from_secs(1),
            idle_after: Duration::from_secs(600),
            tree_delimiter: ":/.".to_owned(),
            page_rows: 100,
            failure_window: 500,
            running_limit: 500,
            scheduled_limit: 100,
            payload_bytes: 64 * 1024,
            time_style: TimeStyle::default(),
            mouse: false,
            theme: "dark".to_owned(),
            theme_names: Vec::new(),
            server_names: Vec::new(),
        }
    }
}
