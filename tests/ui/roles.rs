//! Which role each cell has, and that no state needs its colour.

use qtop::app::state::State;
use qtop::theme::{Builtin, Level, Role, Theme, UNICODE};
use ratatui::style::Style;
use strum::IntoEnumIterator;

use super::{approve_text, buffer, fixture, lines, reports};

/// The look of a cell as one letter: `S` selected, `E` error, `W` warning and so on, `.` everything else.
fn letters(state: &State, size: (u16, u16), theme: &Theme) -> String {
    let of = |role: Role| theme.style(role);
    let named: Vec<(char, Style)> = vec![
        ('A', of(Role::Accent)),
        ('K', of(Role::Key)),
        ('P', of(Role::Prod)),
        ('E', of(Role::Error)),
        ('W', of(Role::Warn)),
        ('O', of(Role::Ok)),
        ('I', of(Role::Info)),
        ('t', of(Role::Title)),
        ('m', of(Role::Muted)),
        ('f', of(Role::StateFailed)),
        ('a', of(Role::StateActive)),
        ('l', of(Role::StateScheduled)),
        ('b', of(Role::ChartBacklog)),
    ];
    let selected = of(Role::Selection).bg;
    let shown = buffer(state, size, theme);
    (0..size.1)
        .map(|y| {
            let cell = |x: u16| {
                let cell = &shown[(x, y)];
                if selected.is_some() && Some(cell.bg) == selected {
                    return 'S';
                }
                if cell.symbol() == " " {
                    return ' ';
                }
                let same =
                    |style: &Style| style.fg.is_none_or(|fg| fg == cell.fg) && style.add_modifier == cell.modifier;
                named.iter().find(|(_, style)| same(style)).map_or('.', |(letter, _)| *letter)
            };
            (0..size.0).map(cell).collect::<String>().trim_end().to_owned()
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn roles_of_the_queues_screen() {
    let theme = Theme::builtin(Builtin::Dark, Level::True, &UNICODE);
    approve_text("roles_queues_80x24", &letters(&fixture::busy(), (80, 24), &theme));
}

#[test]
fn roles_of_the_running_screen() {
    let theme = Theme::builtin(Builtin::Dark, Level::True, &UNICODE);
    let mut state = fixture::busy();
    reports::running(&mut state);
    approve_text("roles_running_80x24", &letters(&state, (80, 24), &theme));
}

#[test]
fn u13_the_words_are_the_same_in_every_theme_and_at_every_level() {
    let mut running = fixture::busy();
    reports::running(&mut running);
    let mut workers = fixture::busy();
    reports::workers(&mut workers);
    for state in [fixture::busy(), running, workers] {
        let expected = lines(&buffer(&state, (80, 24), &Theme::builtin(Builtin::Dark, Level::True, &UNICODE)));
        for builtin in Builtin::iter() {
            for level in [Level::None, Level::Ansi16, Level::Ansi256, Level::True] {
                let theme = Theme::builtin(builtin, level, &UNICODE);
                assert_eq!(lines(&buffer(&state, (80, 24), &theme)), expected, "{builtin:?} {level:?}");
            }
        }
    }
}

#[test]
fn u13_without_colour_each_condition_has_its_own_sign() {
    let screen = lines(&buffer(&fixture::busy(), (160, 45), &Theme::builtin(Builtin::Mono, Level::None, &UNICODE)));
    let row = |name: &str| screen.iter().find(|line| line.contains(&format!(" bullmq  {name} "))).expect("it is drawn");
    for (queue, sign) in [("mail", '▲'), ("reports", '✖'), ("webhooks", '●'), ("cleanup", '⏸')] {
        assert!(row(queue).contains(sign), "{queue}: {}", row(queue));
    }
}

#[test]
fn u13_without_colour_the_selected_row_is_still_a_band() {
    let theme = Theme::builtin(Builtin::Mono, Level::None, &UNICODE);
    let shown = buffer(&fixture::busy(), (80, 24), &theme);
    let band = theme.style(Role::Selection).add_modifier;
    assert!(!band.is_empty(), "a selection without colour needs a modifier");
    assert!((0..80).all(|x| shown[(x, 3)].modifier.contains(band)), "the band reaches from edge to edge");
    assert!(!shown[(10, 4)].modifier.contains(band));
}
