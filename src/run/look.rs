//! The theme in effect, worked out from configuration and terminal.

use std::path::PathBuf;

use crate::config::{Config, Environment};
use crate::domain::appearance::{ColourChoice, GlyphChoice};
use crate::theme::{self, Builtin, ColourFacts, Level, LocaleFacts, Theme};

/// The look: a theme and what it was made for.
#[derive(Clone, Debug)]
pub struct Look {
    theme: Theme,
    folder: Option<PathBuf>,
}

impl Look {
    /// A built-in theme.
    pub fn builtin(which: Builtin, level: Level, glyphs: &'static theme::Glyphs) -> Self {
        Self { theme: Theme::builtin(which, level, glyphs), folder: None }
    }

    /// As configured, for the terminal the environment describes. A theme that cannot be used is replaced by the
    /// built-in dark one, with the reason.
    pub fn of(config: &Config, environment: &Environment) -> (Self, Option<String>) {
        let level = level(config.ui.color, environment);
        let glyphs = glyphs(config.ui.glyphs, environment);
        let folder = config.origin.themes.clone();
        let mut look = Self { theme: Theme::builtin(Builtin::Dark, level, glyphs), folder };
        let problem = look.choose(&config.ui.theme).err();
        (look, problem)
    }

    /// Uses another theme.
    ///
    /// # Errors
    /// Says what is wrong with it; the present one stays.
    pub fn choose(&mut self, name: &str) -> Result<(), String> {
        let spec = theme::load(name, self.folder.as_deref())
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        self.theme = Theme::resolve(&spec, self.theme.level(), self.theme.glyphs());
        Ok(())
    }

    /// The theme to draw with.
    pub fn theme(&self) -> &Theme {
        &self.theme
    }
}

/// The colour level for a terminal; command line and environment are part of the configuration by now.
fn level(choice: ColourChoice, environment: &Environment) -> Level {
    let get = |name: &str| environment.variables.get(name).map(String::as_str);
    let facts = ColourFacts { no_color: get("NO_COLOR"), colorterm: get("COLORTERM"), term: get("TERM") };
    theme::level_for(ColourChoice::Auto, choice, facts)
}

fn glyphs(choice: GlyphChoice, environment: &Environment) -> &'static theme::Glyphs {
    let get = |name: &str| environment.variables.get(name).map(String::as_str);
    let facts = LocaleFacts { lc_all: get("LC_ALL"), lc_ctype: get("LC_CTYPE"), lang: get("LANG"), term: get("TERM") };
    theme::glyphs_for(choice, facts)
}
