//! What `qtop config` prints.

use std::path::PathBuf;

use super::load::Environment;
use super::overlay::Overrides;
use super::schema::Config;

/// The configuration as it is in effect, as TOML, with `***` in place of every secret (S8).
pub fn print(config: &Config) -> String {
    let mut shown = config.clone();
    shown.default_server = Some(config.origin.chosen.clone()).filter(|name| !name.is_empty());
    for server in shown.servers.values_mut() {
        // What came out of a variable or file is shown by where it came from: so it can be written back.
        if server.url_env.is_some() || server.url_file.is_some() {
            server.url = None;
        }
    }
    toml::to_string_pretty(&shown).expect("every setting has a form in TOML")
}

/// What is where: a name, the path, and whether something is there.
pub fn paths(overrides: &Overrides, environment: &Environment) -> Vec<(&'static str, PathBuf, bool)> {
    let mut paths = Vec::new();
    if let Some((file, _)) = environment.file(overrides) {
        let themes = file.parent().map(|folder| folder.join("themes"));
        paths.push(("config", file));
        paths.extend(themes.map(|folder| ("themes", folder)));
    }
    paths.extend(environment.state.clone().map(|folder| ("logs", folder)));
    paths.into_iter().map(|(name, path)| (name, path.clone(), path.exists())).collect()
}
