//! Names of keys: `g g`, `ctrl-r`, `shift-tab`, `space`, `f1`, `?`.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One key with its modifiers, in the form in which all terminals agree on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd)]
pub struct Chord {
    /// The key.
    pub code: KeyCode,
    /// Control, Alt; Shift only where it does not change the character.
    pub modifiers: KeyModifiers,
}

/// Keys with a name of more than one character. The first name of a key is the one that is printed.
const NAMED: &[(&str, KeyCode)] = &[
    ("enter", KeyCode::Enter),
    ("return", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("escape", KeyCode::Esc),
    ("backspace", KeyCode::Backspace),
    ("tab", KeyCode::Tab),
    ("space", KeyCode::Char(' ')),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("insert", KeyCode::Insert),
    ("delete", KeyCode::Delete),
    ("minus", KeyCode::Char('-')),
];

impl Chord {
    /// From an event. Terminals report an upper-case letter with or without Shift, and Ctrl with either case.
    pub fn from_event(event: KeyEvent) -> Self {
        Self::new(event.code, event.modifiers)
    }

    fn new(code: KeyCode, modifiers: KeyModifiers) -> Self {
        let mut modifiers = modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let code = match code {
            KeyCode::Char(c) => {
                let shifted = modifiers.contains(KeyModifiers::SHIFT) && !modifiers.contains(KeyModifiers::CONTROL);
                modifiers.remove(KeyModifiers::SHIFT);
                let c = if modifiers.contains(KeyModifiers::CONTROL) { c.to_ascii_lowercase() } else { c };
                KeyCode::Char(if shifted { c.to_ascii_uppercase() } else { c })
            }
            KeyCode::BackTab => {
                modifiers.insert(KeyModifiers::SHIFT);
                KeyCode::Tab
            }
            other => other,
        };
        Self { code, modifiers }
    }

    /// Reads one key.
    ///
    /// # Errors
    /// Says which part is no key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text;
        while let Some((prefix, after)) =
            rest.split_once('-').filter(|(prefix, after)| !prefix.is_empty() && !after.is_empty())
        {
            modifiers |= match prefix.to_ascii_lowercase().as_str() {
                "ctrl" | "control" | "c" => KeyModifiers::CONTROL,
                "alt" | "meta" => KeyModifiers::ALT,
                "shift" => KeyModifiers::SHIFT,
                other => return Err(format!("`{other}-` in `{text}` is no modifier; ctrl-, alt- and shift- are")),
            };
            rest = after;
        }
        let mut characters = rest.chars();
        let code = match (characters.next(), characters.next()) {
            (Some(c), None) => Some(KeyCode::Char(c)),
            _ => named(&rest.to_ascii_lowercase()),
        };
        code.map(|code| Self::new(code, modifiers)).ok_or_else(|| {
            format!("`{text}` is no key; write a character, a name such as enter, space, pagedown, f5, or ctrl-r")
        })
    }

    /// True for a combination with Control.
    pub fn is_control(self) -> bool {
        self.modifiers.contains(KeyModifiers::CONTROL)
    }
}

/// Reads keys that are pressed one after the other, separated by spaces.
///
/// # Errors
/// Says which part is no key.
pub fn parse_sequence(text: &str) -> Result<Vec<Chord>, String> {
    let keys = text.split_whitespace().map(Chord::parse).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err("an empty key; write for example \"g g\" or \"ctrl-r\"".to_owned()) } else { Ok(keys) }
}

/// Prints keys as [`parse_sequence`] reads them.
pub fn print_sequence(keys: &[Chord]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn named(text: &str) -> Option<KeyCode> {
    let function =
        text.strip_prefix('f').and_then(|number| number.parse().ok()).filter(|number| (1..=12).contains(number));
    match function {
        Some(number) => Some(KeyCode::F(number)),
        None => NAMED.iter().find(|(name, _)| *name == text).map(|(_, code)| *code),
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (modifier, prefix) in
            [(KeyModifiers::CONTROL, "ctrl-"), (KeyModifiers::ALT, "alt-"), (KeyModifiers::SHIFT, "shift-")]
        {
            if self.modifiers.contains(modifier) {
                f.write_str(prefix)?;
            }
        }
        match self.code {
            KeyCode::Char('-') => f.write_str("-"),
            KeyCode::F(number) => write!(f, "f{number}"),
            code => match (NAMED.iter().find(|(_, named)| *named == code), code) {
                (Some((name, _)), _) => f.write_str(name),
                (None, KeyCode::Char(c)) => write!(f, "{c}"),
                (None, other) => write!(f, "{other:?}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_printed_as_they_are_read() {
        for text in ["g g", "G", "ctrl-r", "shift-tab", "space", "f1", "?", "-", "<", "|", "alt-x", "pagedown", "enter"]
        {
            let keys = parse_sequence(text).unwrap();
            assert_eq!(print_sequence(&keys), text);
        }
    }

    #[test]
    fn what_terminals_report_in_several_ways_is_one_key() {
        let event = |code, modifiers| Chord::from_event(KeyEvent::new(code, modifiers));
        let upper = Chord::parse("G").unwrap();
        assert_eq!(event(KeyCode::Char('G'), KeyModifiers::SHIFT), upper);
        assert_eq!(event(KeyCode::Char('G'), KeyModifiers::NONE), upper);
        assert_eq!(event(KeyCode::Char('g'), KeyModifiers::SHIFT), upper);
        assert_eq!(event(KeyCode::BackTab, KeyModifiers::NONE), Chord::parse("shift-tab").unwrap());
        assert_eq!(event(KeyCode::Char('R'), KeyModifiers::CONTROL), Chord::parse("ctrl-r").unwrap());
        assert_eq!(event(KeyCode::Char('+'), KeyModifiers::SHIFT), Chord::parse("+").unwrap());
    }

    #[test]
    fn what_is_no_key_is_said() {
        assert!(Chord::parse("hyper-x").unwrap_err().contains("hyper-"));
        assert!(Chord::parse("entr").unwrap_err().contains("entr"));
        assert!(parse_sequence("  ").is_err());
    }
}
