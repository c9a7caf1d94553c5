//! Theme files: `inherits`, `[palette]`, `[palette16]`, `[roles]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use ratatui::style::{Color, Modifier};
use serde::Deserialize;
use strum::{EnumIter, EnumString, IntoEnumIterator, IntoStaticStr};
use toml::Spanned;

use super::role::{GROUPS, Role};
use crate::domain::problem::{Place, Problem, TextFile, nearest};

/// The themes inside the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Builtin {
    /// Calm colours on a dark ground.
    Dark,
    /// The same on a light ground.
    Light,
    /// The terminal's own 16 colours on its own ground.
    Ansi16,
    /// No colour at all.
    Mono,
}

impl Builtin {
    /// The name in configuration and palette.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The file as shipped.
    pub fn text(self) -> &'static str {
        match self {
            Self::Dark => include_str!("../../themes/dark.toml"),
            Self::Light => include_str!("../../themes/light.toml"),
            Self::Ansi16 => include_str!("../../themes/ansi16.toml"),
            Self::Mono => include_str!("../../themes/mono.toml"),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    inherits: Option<Spanned<String>>,
    #[serde(default)]
    palette: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    palette16: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    roles: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// A theme with all its ancestors laid on top of each other; colours are still at full depth.
#[derive(Clone, Debug, PartialEq)]
pub struct ThemeSpec {
    pub(super) name: String,
    pub(super) styles: BTreeMap<String, RawStyle>,
}

/// What a theme says about one role.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(super) struct RawStyle {
    pub(super) foreground: Option<Paint>,
    pub(super) background: Option<Paint>,
    pub(super) modifiers: Modifier,
}

/// A colour at full depth, and the one of 16 to use in its place where the theme names it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Paint {
    pub(super) full: Color,
    pub(super) ansi: Option<Color>,
}

struct Layer {
    name: String,
    file: TextFile,
    raw: Raw,
}

/// Themes that can be chosen: those of the folder first, then the built-in ones that none of them replaces.
pub fn names(folder: Option<&Path>) -> Vec<String> {
    let mut names: Vec<String> = folder
        .and_then(|folder| std::fs::read_dir(folder).ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.strip_suffix(".toml").map(str::to_owned))
        .filter(|name| is_plain(name))
        .collect();
    names.sort();
    for builtin in Builtin::iter() {
        if !names.iter().any(|name| name == builtin.name()) {
            names.push(builtin.name().to_owned());
        }
    }
    names
}

/// Reads the theme `name` from `folder` (the `themes` folder beside the configuration file) or from inside the
/// program, with all it inherits. A file in the folder may have a built-in theme's name and inherit from that.
///
/// # Errors
/// All problems found, each with its place.
pub fn load(name: &str, folder: Option<&Path>) -> Result<ThemeSpec, Vec<Problem>> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut wanted = name.to_owned();
    loop {
        let asked = layers.last().and_then(|layer| Some((layer, layer.raw.inherits.as_ref()?.span())));
        let used = |file: &str| layers.iter().any(|layer| layer.file.name == file);
        let Some(file) = find(&wanted, folder, &used)? else {
            let known = names(folder);
            let circle = layers.iter().any(|layer| layer.name == wanted);
            let message = if circle {
                format!("the theme `{wanted}` inherits itself")
            } else {
                format!("there is no theme `{wanted}`")
            };
            let remedy = match nearest(&wanted, known.iter().map(String::as_str)) {
                _ if circle => "inherit another theme, or none".to_owned(),
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the themes are: {}", known.join(", ")),
            };
            return Err(vec![match asked {
                Some((layer, span)) => Problem::build(&layer.file, span, message, None, Some(remedy)),
                None => Problem::of(Place::WholeFile { name: format!("theme {wanted}") }, message).with_remedy(remedy),
            }]);
        };
        let raw: Raw = toml::from_str(&file.text).map_err(|error| vec![foreign(&file, &error)])?;
        let next = raw.inherits.as_ref().map(|name| name.get_ref().clone());
        layers.push(Layer { name: wanted.clone(), file, raw });
        match next {
            Some(next) => wanted = next,
            None => return merge(name, &layers),
        }
    }
}

/// A theme from a text alone, for tests and previews; it may inherit built-in themes.
///
/// # Errors
/// As [`load`].
pub fn parse(file: TextFile) -> Result<ThemeSpec, Vec<Problem>> {
    let raw: Raw = toml::from_str(&file.text).map_err(|error| vec![foreign(&file, &error)])?;
    let name = file.name.clone();
    let mut layers = vec![Layer { name: name.clone(), file, raw }];
    while let Some(next) = layers.last().and_then(|layer| layer.raw.inherits.clone()) {
        let Ok(builtin) = next.get_ref().parse::<Builtin>() else {
            let child = &layers[layers.len() - 1].file;
            let message = format!("there is no built-in theme `{}`", next.get_ref());
            return Err(vec![Problem::at(child, next.span(), message)]);
        };
        let file = TextFile::new(format!("{} (built in)", builtin.name()), builtin.text());
        let raw: Raw = toml::from_str(&file.text).map_err(|error| vec![foreign(&file, &error)])?;
        layers.push(Layer { name: builtin.name().to_owned(), file, raw });
    }
    merge(&name, &layers)
}

/// The file of a theme: the folder's, unless that one is already in use, then the built-in one, then none.
fn find(name: &str, folder: Option<&Path>, used: &dyn Fn(&str) -> bool) -> Result<Option<TextFile>, Vec<Problem>> {
    if let Some(folder) = folder
        && is_plain(name)
    {
        let path = folder.join(format!("{name}.toml"));
        let shown = path.display().to_string();
        if !used(&shown) {
            match std::fs::read_to_string(&path) {
                Ok(text) => return Ok(Some(TextFile::new(shown, text))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    let problem = Problem::of(Place::WholeFile { name: shown }, format!("cannot be read: {error}"));
                    return Err(vec![problem.with_remedy("make it readable for you, or choose another theme")]);
                }
            }
        }
    }
    Ok(name.parse::<Builtin>().ok().and_then(|builtin| {
        let shown = format!("{} (built in)", builtin.name());
        (!used(&shown)).then(|| TextFile::new(shown, builtin.text()))
    }))
}

/// Names that are file names and nothing else: no folders, no dots.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
}

fn foreign(file: &TextFile, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let remedy = "a theme has `inherits`, [palette], [palette16] and [roles], each value a text in quotes";
    Problem::build(file, span, error.message().trim_end(), None, Some(remedy.to_owned()))
}

fn merge(name: &str, layers: &[Layer]) -> Result<ThemeSpec, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut palette: BTreeMap<String, Paint> = BTreeMap::new();
    for layer in layers.iter().rev() {
        for (key, value) in &layer.raw.palette {
            match plain_colour(value.get_ref()) {
                Some(full) => {
                    palette.insert(key.get_ref().clone(), Paint { full, ansi: None });
                }
                None => problems.push(bad_colour(&layer.file, value.span(), value.get_ref(), &[])),
            }
        }
        for (key, value) in &layer.raw.palette16 {
            match (palette.get_mut(key.get_ref()), ansi_colour(value.get_ref())) {
                (_, None) => {
                    let known = ANSI.iter().map(|(name, _)| *name);
                    let message = format!("`{}` is not one of the 16 colours", value.get_ref());
                    let remedy = did_you_mean(value.get_ref(), known);
                    problems.push(Problem::build(&layer.file, value.span(), message, None, remedy));
                }
                (Some(paint), ansi) => paint.ansi = ansi,
                (None, _) => {
                    let message = format!("[palette] has no colour `{}`", key.get_ref());
                    let remedy = did_you_mean(key.get_ref(), palette.keys().map(String::as_str));
                    problems.push(Problem::build(&layer.file, key.span(), message, None, remedy));
                }
            }
        }
    }
    let mut styles = BTreeMap::new();
    for layer in layers.iter().rev() {
        for (role, value) in &layer.raw.roles {
            let known = || Role::iter().map(Role::name).chain(GROUPS);
            if !known().any(|name| name == role.get_ref()) {
                let message = format!("there is no role `{}`", role.get_ref());
                let remedy = did_you_mean(role.get_ref(), known());
                problems.push(Problem::build(&layer.file, role.span(), message, None, remedy));
            }
            if let Some(style) = style(&layer.file, value, &palette, &mut problems) {
                styles.insert(role.get_ref().clone(), style);
            }
        }
    }
    if problems.is_empty() { Ok(ThemeSpec { name: name.to_owned(), styles }) } else { Err(problems) }
}

/// Reads `[FOREGROUND] [on BACKGROUND] [bold] [dim] [italic] [underline] [reversed] [crossed]`.
fn style(
    file: &TextFile,
    value: &Spanned<String>,
    palette: &BTreeMap<String, Paint>,
    problems: &mut Vec<Problem>,
) -> Option<RawStyle> {
    let mut style = RawStyle::default();
    let mut on = false;
    for word in value.get_ref().split_whitespace() {
        let modifier = MODIFIERS.iter().find(|(name, _)| *name == word).map(|(_, modifier)| *modifier);
        if let (false, Some(modifier)) = (on, modifier) {
            style.modifiers |= modifier;
        } else if word == "on" && !on {
            on = true;
        } else if let Some(paint) = palette.get(word).copied().or_else(|| plain_colour(word).map(Paint::plain)) {
            let slot = if on { &mut style.background } else { &mut style.foreground };
            if slot.replace(paint).is_some() {
                let message = format!("`{word}` is a second colour for the same thing");
                let remedy = "write one colour, or `on` before the background".to_owned();
                problems.push(Problem::build(file, word_span(file, value, word), message, None, Some(remedy)));
                return None;
            }
            on = false;
        } else {
            let known: Vec<&str> = palette.keys().map(String::as_str).collect();
            problems.push(bad_colour(file, word_span(file, value, word), word, &known));
            return None;
        }
    }
    if on {
        let remedy = "write a colour after it".to_owned();
        problems.push(Problem::build(file, value.span(), "`on` without a background", None, Some(remedy)));
        return None;
    }
    Some(style)
}

/// Where a word of a style stands; the whole value if escapes hide it.
fn word_span(file: &TextFile, value: &Spanned<String>, word: &str) -> Range<usize> {
    let span = value.span();
    let offset = word.as_ptr().addr() - value.get_ref().as_ptr().addr();
    let start = span.start + 1 + offset;
    match file.text.get(start..start + word.len()) {
        Some(text) if text == word => start..start + word.len(),
        _ => span,
    }
}

fn bad_colour(file: &TextFile, span: Range<usize>, word: &str, palette: &[&str]) -> Problem {
    let words = palette.iter().copied().chain(ANSI.iter().map(|(name, _)| *name));
    let words = words.chain(MODIFIERS.iter().map(|(name, _)| *name));
    let remedy = did_you_mean(word, words);
    let named = if palette.is_empty() { "" } else { ", a name of [palette]" };
    let expected = format!("`#rrggbb`, a number from 0 to 255{named} or one of the 16 colours");
    Problem::build(file, span, format!("`{word}` is not a colour"), Some(expected), remedy)
}

fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|near| format!("did you mean `{near}`?"))
}

impl Paint {
    fn plain(full: Color) -> Self {
        Self { full, ansi: None }
    }
}

fn ansi_colour(word: &str) -> Option<Color> {
    ANSI.iter().find(|(name, _)| *name == word).map(|(_, colour)| *colour)
}

fn plain_colour(word: &str) -> Option<Color> {
    if let Some(hex) = word.strip_prefix('#') {
        let value = u32::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 6 && hex.is_ascii())?;
        return Some(Color::from_u32(value));
    }
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return word.parse().ok().map(Color::Indexed);
    }
    ansi_colour(word)
}

const ANSI: [(&str, Color); 17] = [
    ("default", Color::Reset),
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("white", Color::Gray),
    ("bright-black", Color::DarkGray),
    ("bright-red", Color::LightRed),
    ("bright-green", Color::LightGreen),
    ("bright-yellow", Color::LightYellow),
    ("bright-blue", Color::LightBlue),
    ("bright-magenta", Color::LightMagenta),
    ("bright-cyan", Color::LightCyan),
    ("bright-white", Color::White),
];

const MODIFIERS: [(&str, Modifier); 6] = [
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("italic", Modifier::ITALIC),
    ("underline", Modifier::UNDERLINED),
    ("reversed", Modifier::REVERSED),
    ("crossed", Modifier::CROSSED_OUT),
];
