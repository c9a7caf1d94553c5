//! The signs qtop draws with: a Unicode set, and one of printable ASCII for terminals that show nothing else (U12).

use ratatui::symbols::border;

use crate::domain::appearance::GlyphChoice;
use crate::domain::state::StateKind;

/// One set of signs. Every sign is one cell wide unless its comment says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// Only bytes 0x20 to 0x7e may be drawn. Text from Redis must then be reduced as well.
    pub ascii: bool,
    /// Condition of a queue: fine.
    pub fine: &'static str,
    /// Condition: look at it.
    pub look: &'static str,
    /// Condition: act now.
    pub act: &'static str,
    /// Condition: paused.
    pub paused: &'static str,
    /// Condition: nothing known.
    pub unknown: &'static str,
    /// Done part of a progress bar.
    pub bar_done: &'static str,
    /// Remaining part of a progress bar.
    pub bar_rest: &'static str,
    /// Sparkline levels, lowest first. A missing sample is a space.
    pub spark: [&'static str; 8],
    /// Left edge of the selected row.
    pub cursor: &'static str,
    /// A marked row.
    pub mark: &'static str,
    /// A branch that is open.
    pub open: &'static str,
    /// A branch that is closed.
    pub closed: &'static str,
    /// The number zero in tables, where it must not catch the eye.
    pub zero: &'static str,
    /// Text was cut here.
    pub ellipsis: &'static str,
    /// Between groups of three digits.
    pub group: &'static str,
    /// Sorted upwards, beside a column head.
    pub sort_up: &'static str,
    /// Sorted downwards.
    pub sort_down: &'static str,
    /// Growing.
    pub up: &'static str,
    /// Shrinking.
    pub down: &'static str,
    /// Leads to.
    pub arrow: &'static str,
    /// The Enter key in hints; up to five cells.
    pub enter: &'static str,
    /// Horizontal rule.
    pub rule: &'static str,
    /// Vertical rule.
    pub pipe: &'static str,
    /// A hidden character of a redacted value.
    pub hidden: &'static str,
    /// Done, in lists.
    pub check: &'static str,
    /// Separates facts on one line.
    pub dot: &'static str,
    /// Thumb of a scroll bar.
    pub scroll_thumb: &'static str,
    /// Track of a scroll bar.
    pub scroll_track: &'static str,
    /// Frames of a spinner.
    pub spinner: [&'static str; 4],
    /// Frame of an overlay.
    pub border: border::Set<'static>,
}

/// For terminals that can draw more than ASCII.
pub const UNICODE: Glyphs = Glyphs {
    ascii: false,
    fine: "●",
    look: "▲",
    act: "✖",
    paused: "⏸",
    unknown: "○",
    bar_done: "▰",
    bar_rest: "▱",
    spark: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    cursor: "▌",
    mark: "◆",
    open: "▾",
    closed: "▸",
    zero: "·",
    ellipsis: "…",
    group: "\u{2009}",
    sort_up: "▴",
    sort_down: "▾",
    up: "↑",
    down: "↓",
    arrow: "→",
    enter: "⏎",
    rule: "─",
    pipe: "│",
    hidden: "•",
    check: "✓",
    dot: "·",
    scroll_thumb: "┃",
    scroll_track: "│",
    spinner: ["◐", "◓", "◑", "◒"],
    border: border::PLAIN,
};

/// For everything else.
pub const ASCII: Glyphs = Glyphs {
    ascii: true,
    fine: ".",
    look: "!",
    act: "X",
    paused: "=",
    unknown: "?",
    bar_done: "#",
    bar_rest: "-",
    spark: ["_", ".", ":", "-", "=", "+", "*", "#"],
    cursor: ">",
    mark: "*",
    open: "-",
    closed: "+",
    zero: "-",
    ellipsis: "~",
    group: " ",
    sort_up: "^",
    sort_down: "v",
    up: "^",
    down: "v",
    arrow: ">",
    enter: "Enter",
    rule: "-",
    pipe: "|",
    hidden: "*",
    check: "x",
    dot: "-",
    scroll_thumb: "#",
    scroll_track: "|",
    spinner: ["|", "/", "-", "\\"],
    border: border::Set {
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    },
};

/// The letter of a state where there is no room for its word; the same in both sets, unique per kind.
pub fn state_letter(kind: StateKind) -> char {
    match kind {
        StateKind::Waiting => 'w',
        StateKind::Active => 'a',
        StateKind::Scheduled => 's',
        StateKind::Retrying => 'r',
        StateKind::Blocked => 'b',
        StateKind::Completed => 'c',
        StateKind::Failed => 'F',
        StateKind::Dead => 'D',
        StateKind::Cancelled => 'x',
        StateKind::Other => 'o',
    }
}

/// What the environment says about the character set: `LC_ALL`, `LC_CTYPE`, `LANG`, of which the first that is set and
/// not empty counts, as in every program that calls `setlocale`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocaleFacts<'a> {
    /// `LC_ALL`.
    pub lc_all: Option<&'a str>,
    /// `LC_CTYPE`.
    pub lc_ctype: Option<&'a str>,
    /// `LANG`.
    pub lang: Option<&'a str>,
    /// `TERM`: the Linux console and `dumb` draw ASCII best.
    pub term: Option<&'a str>,
}

/// Decides the set: the wish if there is one, otherwise what the locale allows.
pub fn glyphs_for(wish: GlyphChoice, facts: LocaleFacts<'_>) -> &'static Glyphs {
    match wish {
        GlyphChoice::Ascii => &ASCII,
        GlyphChoice::Unicode => &UNICODE,
        GlyphChoice::Auto => {
            let locale =
                [facts.lc_all, facts.lc_ctype, facts.lang].into_iter().flatten().find(|value| !value.is_empty());
            let utf8 = locale.is_some_and(|value| {
                let value = value.to_ascii_lowercase();
                value.ends_with("utf-8")
                    || value.ends_with("utf8")
                    || value.contains("utf-8@")
                    || value.contains("utf8@")
            });
            let poor = facts.term.is_some_and(|term| matches!(term, "linux" | "dumb" | "vt100" | "vt220" | "ansi"));
            if utf8 && !poor { &UNICODE } else { &ASCII }
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn all_signs(glyphs: &Glyphs) -> Vec<&'static str> {
        let b = glyphs.border;
        let mut signs = vec![
            glyphs.fine,
            glyphs.look,
            glyphs.act,
            glyphs.paused,
            glyphs.unknown,
            glyphs.bar_done,
            glyphs.bar_rest,
            glyphs.cursor,
            glyphs.mark,
            glyphs.open,
            glyphs.closed,
            glyphs.zero,
            glyphs.ellipsis,
            glyphs.group,
            glyphs.sort_up,
            glyphs.sort_down,
            glyphs.up,
            glyphs.down,
            glyphs.arrow,
            glyphs.rule,
            glyphs.pipe,
            glyphs.hidden,
            glyphs.check,
            glyphs.dot,
            glyphs.scroll_thumb,
            glyphs.scroll_track,
            b.top_left,
            b.top_right,
            b.bottom_left,
            b.bottom_right,
            b.vertical_left,
            b.vertical_right,
            b.horizontal_top,
            b.horizontal_bottom,
        ];
        signs.extend(glyphs.spark);
        signs.extend(glyphs.spinner);
        signs
    }

    #[test]
    fn u12_the_ascii_set_is_printable_ascii() {
        let mut signs = all_signs(&ASCII);
        signs.push(ASCII.enter);
        for sign in signs {
            assert!(sign.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{sign:?}");
        }
    }

    #[test]
    fn every_sign_is_one_cell_wide() {
        for set in [&UNICODE, &ASCII] {
            for sign in all_signs(set) {
                assert_eq!(sign.width(), 1, "{sign:?}");
            }
        }
    }

    #[test]
    fn u13_conditions_and_states_are_told_apart_without_colour() {
        for set in [&UNICODE, &ASCII] {
            let mut marks = vec![set.fine, set.look, set.act, set.paused, set.unknown];
            marks.sort_unstable();
            marks.dedup();
            assert_eq!(marks.len(), 5);
        }
        let mut letters: Vec<char> = StateKind::iter().map(|kind| state_letter(kind).to_ascii_lowercase()).collect();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), StateKind::iter().count());
    }

    #[test]
    fn u12_the_locale_decides_unless_somebody_says_so() {
        let lang = |value| LocaleFacts { lang: Some(value), ..LocaleFacts::default() };
        for poor in ["C", "POSIX", "", "en_US", "de_DE.ISO-8859-1", "nonsense"] {
            assert!(glyphs_for(GlyphChoice::Auto, lang(poor)).ascii, "LANG={poor}");
        }
        assert!(glyphs_for(GlyphChoice::Auto, LocaleFacts::default()).ascii);
        for good in ["C.UTF-8", "en_US.utf8", "de_DE.UTF-8@euro"] {
            assert!(!glyphs_for(GlyphChoice::Auto, lang(good)).ascii, "LANG={good}");
        }
        let overruled = LocaleFacts { lc_all: Some("C"), lang: Some("en_US.UTF-8"), ..LocaleFacts::default() };
        assert!(glyphs_for(GlyphChoice::Auto, overruled).ascii);
        let empty = LocaleFacts { lc_all: Some(""), lc_ctype: Some("C.UTF-8"), ..LocaleFacts::default() };
        assert!(!glyphs_for(GlyphChoice::Auto, empty).ascii);
        let console = LocaleFacts { lang: Some("C.UTF-8"), term: Some("linux"), ..LocaleFacts::default() };
        assert!(glyphs_for(GlyphChoice::Auto, console).ascii);
        assert!(!glyphs_for(GlyphChoice::Unicode, lang("C")).ascii);
        assert!(glyphs_for(GlyphChoice::Ascii, lang("C.UTF-8")).ascii);
    }
}
