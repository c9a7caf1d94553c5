//! Which parts differ between two configurations, so that only those who care hear of it.

use std::collections::BTreeSet;

use super::schema::{Config, Ui};
use crate::domain::appearance::{ColourChoice, GlyphChoice};

/// What is different. Themes can change without the configuration: their files are watched too, so whoever reloads
/// should resolve the theme anew in any case.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Changes {
    /// Theme, colours or signs.
    pub look: bool,
    /// Times, mouse, clock, tree, columns, limits.
    pub screen: bool,
    /// Key bindings.
    pub keys: bool,
    /// Servers that are new, gone or different, by name.
    pub servers: BTreeSet<String>,
    /// Another server is the chosen one.
    pub chosen: bool,
    /// Intervals and budget.
    pub refresh: bool,
    /// Which systems and queues are looked for, and how.
    pub discovery: bool,
    /// Descriptions of plain lists, of applications and of conventions.
    pub lists: bool,
    /// Level, kept days or folder of the log.
    pub log: bool,
    /// Pools, schedules or anything else of the runner.
    pub runner: bool,
    /// Whom to tell, and when.
    pub alerts: bool,
}

impl Changes {
    /// Compares two configurations.
    pub fn between(old: &Config, new: &Config) -> Self {
        let look = |config: &Config| (config.ui.theme.clone(), config.ui.color, config.ui.glyphs);
        let without_look = |config: &Config| Ui {
            theme: String::new(),
            color: ColourChoice::default(),
            glyphs: GlyphChoice::default(),
            ..config.ui.clone()
        };
        let names = old.servers.keys().chain(new.servers.keys());
        Self {
            look: look(old) != look(new),
            screen: old.limits != new.limits || without_look(old) != without_look(new),
            keys: old.keys != new.keys,
            servers: names.filter(|name| old.servers.get(*name) != new.servers.get(*name)).cloned().collect(),
            chosen: old.origin.chosen != new.origin.chosen,
            refresh: old.refresh != new.refresh,
            discovery: (&old.discovery, &old.systems) != (&new.discovery, &new.systems),
            lists: (&old.lists, &old.arq, &old.laravel, &old.conventions)
                != (&new.lists, &new.arq, &new.laravel, &new.conventions),
            log: (&old.log, &old.origin.logs) != (&new.log, &new.origin.logs),
            runner: old.runner != new.runner,
            alerts: old.alerts != new.alerts,
        }
    }

    /// True if nothing is different.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True if the tasks of this server must start anew: its connection, or what is looked for.
    pub fn concerns_server(&self, name: &str) -> bool {
        self.servers.contains(name) || self.discovery || self.lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Known, parse};
    use crate::domain::problem::TextFile;

    fn config(text: &str) -> Config {
        parse(&TextFile::new("config.toml", text), &Known::default()).expect("sound")
    }

    #[test]
    fn every_part_of_the_file_is_told_as_the_part_it_is() {
        let same = Changes::default();
        let old = config("[server.a]\nurl = \"redis://a\"\n[server.b]\nurl = \"redis://b\"\n");
        assert!(Changes::between(&old, &old.clone()).is_empty());
        let cases = [
            ("[ui]\ntheme = \"light\"", Changes { look: true, ..same.clone() }),
            ("[ui]\nglyphs = \"ascii\"", Changes { look: true, ..same.clone() }),
            ("[ui]\nmouse = true", Changes { screen: true, ..same.clone() }),
            ("[ui]\nclock = true", Changes { screen: true, ..same.clone() }),
            ("[limits]\npage = 5", Changes { screen: true, ..same.clone() }),
            ("[ui.columns]\njobs = [\"id\"]", Changes { screen: true, ..same.clone() }),
            ("[keys]\n\"a.b\" = \"x\"", Changes { keys: true, ..same.clone() }),
            ("[refresh]\ninterval = \"2s\"", Changes { refresh: true, ..same.clone() }),
            ("[systems]\ndisabled = [\"list\"]", Changes { discovery: true, ..same.clone() }),
            ("[discovery]\nscan = false", Changes { discovery: true, ..same.clone() }),
            ("[log]\nkeep_days = 2", Changes { log: true, ..same.clone() }),
            ("[runner]\ngrace = \"5s\"", Changes { runner: true, ..same.clone() }),
            ("[[alert]]\nname = \"a\"\nhook = { command = [\"true\"] }", Changes { alerts: true, ..same.clone() }),
            ("[[list]]\nname = \"m\"\nkey = \"m\"", Changes { lists: true, ..same.clone() }),
            ("[[convention]]\nname = \"m\"\nqueues = \"*\"", Changes { lists: true, ..same.clone() }),
        ];
        for (text, changes) in cases {
            let new = config(&format!("[server.a]\nurl = \"redis://a\"\n[server.b]\nurl = \"redis://b\"\n{text}"));
            assert_eq!(Changes::between(&old, &new), changes, "{text}");
        }
    }

    #[test]
    fn servers_are_told_by_name() {
        let old = config("[server.a]\nurl = \"redis://a\"\n[server.b]\nurl = \"redis://b\"\n");
        let new = config(
            "[server.a]\nurl = \"redis://a\"\n[server.b]\nurl = \"redis://:pw@b\"\n[server.c]\nurl = \"redis://c\"\n",
        );
        let changes = Changes::between(&old, &new);
        assert_eq!(changes.servers.iter().map(String::as_str).collect::<Vec<_>>(), ["b", "c"]);
        assert!(changes.concerns_server("b"));
        assert!(!changes.concerns_server("a"));
        let mut other_password = old.clone();
        other_password.servers.get_mut("a").expect("there").password = Some("new".into());
        assert!(Changes::between(&old, &other_password).concerns_server("a"));
    }
}
