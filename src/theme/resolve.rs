//! From roles to terminal styles, once per change: colour level, degradation, fallback.

use std::sync::Arc;

use anstyle_lossy::palette::VGA;
use ratatui::style::{Color, Modifier, Style};
use strum::{EnumCount, IntoEnumIterator};

use super::file::{Builtin, Paint, RawStyle, ThemeSpec, parse};
use super::glyph::{Glyphs, UNICODE};
use super::role::Role;
use crate::domain::appearance::ColourChoice;
use crate::domain::problem::TextFile;
use crate::domain::state::StateKind;

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// None.
    None,
    /// The terminal's own 16.
    Ansi16,
    /// The fixed table of 256.
    Ansi256,
    /// 24 bits.
    True,
}

/// What the environment says about colours.
#[derive(Clone, Copy, Debug, Default)]
pub struct ColourFacts<'a> {
    /// `NO_COLOR`; counts if set and not empty.
    pub no_color: Option<&'a str>,
    /// `COLORTERM`.
    pub colorterm: Option<&'a str>,
    /// `TERM`.
    pub term: Option<&'a str>,
}

/// Decides the level: `--color`, then the configuration, then `NO_COLOR`, `COLORTERM`, `TERM` (U13).
pub fn level_for(flag: ColourChoice, config: ColourChoice, facts: ColourFacts<'_>) -> Level {
    for choice in [flag, config] {
        match choice {
            ColourChoice::Auto => {}
            ColourChoice::None => return Level::None,
            ColourChoice::Ansi16 => return Level::Ansi16,
            ColourChoice::Ansi256 => return Level::Ansi256,
            ColourChoice::True => return Level::True,
        }
    }
    if facts.no_color.is_some_and(|value| !value.is_empty()) {
        return Level::None;
    }
    let term = facts.term.unwrap_or_default();
    if matches!(term, "" | "dumb") || term.starts_with("vt1") || term.starts_with("vt2") {
        return Level::None;
    }
    let many = facts.colorterm.is_some_and(|value| matches!(value, "truecolor" | "24bit"));
    // GNU screen hands on COLORTERM of the terminal around it, but garbles 24-bit colours.
    if many && !term.starts_with("screen") {
        return Level::True;
    }
    let true_terms = ["-direct", "kitty", "alacritty", "wezterm", "ghostty", "foot", "iterm"];
    if true_terms.iter().any(|name| term.contains(name)) {
        Level::True
    } else if term.contains("256color") || many {
        Level::Ansi256
    } else {
        Level::Ansi16
    }
}

/// A theme ready to draw with.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    name: Arc<str>,
    level: Level,
    styles: [Style; Role::COUNT],
    glyphs: &'static Glyphs,
}

impl Theme {
    /// Works out every role's style for a level.
    ///
    /// Without colours a coloured theme borrows the bold, dim and reversed of `mono`: a selection that is only a
    /// background would be invisible.
    pub fn resolve(spec: &ThemeSpec, level: Level, glyphs: &'static Glyphs) -> Self {
        let mono = (level == Level::None && spec.is_coloured()).then(|| builtin(Builtin::Mono));
        let source = mono.as_ref().unwrap_or(spec);
        let mut styles = [Style::new(); Role::COUNT];
        for role in Role::iter() {
            styles[role as usize] = at_level(source.raw(role), level);
        }
        Self { name: Arc::from(spec.name.as_str()), level, styles, glyphs }
    }

    /// One of the themes inside the program.
    pub fn builtin(which: Builtin, level: Level, glyphs: &'static Glyphs) -> Self {
        Self::resolve(&builtin(which), level, glyphs)
    }

    /// The style of a role. Only [`Role::Screen`] paints the background of ordinary text; [`Role::Selection`],
    /// [`Role::Mark`], [`Role::Match`] and [`Role::Stale`] are meant to be patched over another style.
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// The style of jobs in a state of this kind.
    pub fn state(&self, kind: StateKind) -> Style {
        self.style(Role::of_state(kind))
    }

    /// The signs to draw with.
    pub fn glyphs(&self) -> &'static Glyphs {
        self.glyphs
    }

    /// The colour level it was made for.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The name under which it was chosen.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Default for Theme {
    /// `dark` at full colour with Unicode signs.
    fn default() -> Self {
        Self::builtin(Builtin::Dark, Level::True, &UNICODE)
    }
}

fn builtin(which: Builtin) -> ThemeSpec {
    parse(TextFile::new(which.name(), which.text())).expect("the shipped themes are tested to be sound")
}

impl ThemeSpec {
    /// The style of a role, of its group, or of `text`.
    pub(super) fn raw(&self, role: Role) -> RawStyle {
        let name = role.name();
        let group = name.split_once('.').map(|(group, _)| group);
        let own = [Some(name), group].into_iter().flatten().find_map(|name| self.styles.get(name));
        let last = if role == Role::Screen { None } else { self.styles.get(Role::Text.name()) };
        own.or(last).copied().unwrap_or_default()
    }

    fn is_coloured(&self) -> bool {
        self.styles.values().any(|style| style.foreground.is_some() || style.background.is_some())
    }
}

fn at_level(raw: RawStyle, level: Level) -> Style {
    let mut style = Style::new().add_modifier(raw.modifiers);
    if level > Level::None {
        style.fg = raw.foreground.map(|paint| paint.at(level));
        style.bg = raw.background.map(|paint| paint.at(level));
        // Where the 16 colours have no shade for a band, two equal colours would hide the text.
        if style.fg.is_some() && style.fg == style.bg {
            style = Style::new().add_modifier(raw.modifiers | Modifier::REVERSED);
        }
    }
    style
}

impl Paint {
    fn at(self, level: Level) -> Color {
        match (level, self.full) {
            (Level::Ansi16, full) => self.ansi.unwrap_or_else(|| to_16(full)),
            (Level::Ansi256, Color::Rgb(r, g, b)) => {
                Color::Indexed(anstyle_lossy::rgb_to_xterm(anstyle::RgbColor(r, g, b)).0)
            }
            (_, full) => full,
        }
    }
}

fn to_16(colour: Color) -> Color {
    let ansi = match colour {
        Color::Rgb(r, g, b) => anstyle_lossy::rgb_to_ansi(anstyle::RgbColor(r, g, b), VGA),
        Color::Indexed(index) => anstyle_lossy::xterm_to_ansi(anstyle::Ansi256Color(index), VGA),
        named => return named,
    };
    use anstyle::AnsiColor as A;
    match ansi {
        A::Black => Color::Black,
        A::Red => Color::Red,
        A::Green => Color::Green,
        A::Yellow => Color::Yellow,
        A::Blue => Color::Blue,
        A::Magenta => Color::Magenta,
        A::Cyan => Color::Cyan,
        A::White => Color::Gray,
        A::BrightBlack => Color::DarkGray,
        A::BrightRed => Color::LightRed,
        A::BrightGreen => Color::LightGreen,
        A::BrightYellow => Color::LightYellow,
        A::BrightBlue => Color::LightBlue,
        A::BrightMagenta => Color::LightMagenta,
        A::BrightCyan => Color::LightCyan,
        A::BrightWhite => Color::White,
    }
}
