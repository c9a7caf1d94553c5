//! From the configuration to what the screen needs of it.

use super::changes::systems_of;
use crate::app::command::quoted;
use crate::app::settings::Settings;
use crate::app::state::{ServerView, TimeStyle};
use crate::config::{self, Config};
use crate::domain::described::Convention;
use crate::theme;

/// Settings of the screen.
pub(super) fn settings(config: &Config) -> Settings {
    let keys = config.keys.iter().map(|(action, chords)| (action.clone(), chords.0.clone())).collect();
    Settings {
        keys,
        columns: config.ui.columns.clone(),
        interval: config.refresh.interval,
        idle_after: config.refresh.idle_after,
        tree_delimiter: config.ui.tree_delimiter.clone(),
        show_clock: config.ui.clock,
        page_rows: config.limits.page,
        failure_window: config.limits.failures,
        running_limit: config.limits.running,
        scheduled_limit: config.limits.scheduled,
        payload_bytes: config.limits.payload,
        time_style: time_style(config),
        mouse: config.ui.mouse,
        theme: config.ui.theme.clone(),
        theme_names: theme::names(config.origin.themes.as_deref()),
        server_names: config.servers.keys().cloned().collect(),
    }
}

/// What the header says about a server.
pub(super) fn server_view(config: &Config, name: &str) -> ServerView {
    let server = config.servers.get(name);
    let named = config.origin.named.iter().any(|known| known == name);
    let url = server.and_then(|server| server.url.as_ref()).map(config::ServerUrl::safe);
    let arguments = match url {
        _ if named => format!("-s {}", quoted(name)),
        Some(url) => format!("--url {}", quoted(&url)),
        None => String::new(),
    };
    let described = config.described().for_server(name);
    ServerView {
        arguments,
        name: name.to_owned(),
        environment: server.and_then(|server| server.env.clone()),
        insecure: server.is_some_and(|server| server.insecure),
        read_only: server.and_then(config::Server::read_only_reason),
        unlockable: server.is_some_and(|server| server.read_only.is_none()),
        unlocked_until: None,
        moved: false,
        own_ways: described.conventions.into_iter().filter(Convention::changes).collect(),
        abilities: systems_of(config, name).iter().map(|system| (system.spec().name, system.abilities())).collect(),
    }
}

fn time_style(config: &Config) -> TimeStyle {
    match config.ui.time {
        config::TimeStyle::Relative => TimeStyle::Relative,
        config::TimeStyle::Local => TimeStyle::Local,
        config::TimeStyle::Utc => TimeStyle::Utc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_file_and_screen_agree() {
        let from_file = settings(&Config::default());
        let expected = Settings { theme_names: from_file.theme_names.clone(), ..Settings::default() };
        assert_eq!(from_file, expected);
    }
}
