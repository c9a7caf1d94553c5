//! Drawn screens: what a person sees at the sizes that matter, from states made by hand.

#[path = "ui/cost.rs"]
mod cost;
#[path = "ui/every_question.rs"]
mod every_question;
#[path = "ui/extremes.rs"]
mod extremes;
#[path = "ui/fixture.rs"]
mod fixture;
#[path = "ui/full.rs"]
mod full;
#[path = "laravel/horizon_keys.rs"]
mod horizon_keys;
#[path = "ui/mixed.rs"]
mod mixed;
#[path = "ui/mixed_server.rs"]
mod mixed_server;
#[path = "ui/overlays.rs"]
mod overlays;
#[path = "ui/questions.rs"]
mod questions;
#[path = "ui/reports.rs"]
mod reports;
#[path = "ui/roles.rs"]
mod roles;
#[path = "ui/runner.rs"]
mod runner;
#[path = "ui/screens.rs"]
mod screens;

use qtop::app::state::State;
use qtop::theme::{Builtin, Glyphs, Level, Theme, UNICODE};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

/// Sizes under test: a common terminal, a wide one, a tall one.
const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (160, 45)];

fn theme(glyphs: &'static Glyphs) -> Theme {
    Theme::builtin(Builtin::Dark, Level::True, glyphs)
}

/// Draws a state and gives the whole buffer.
fn buffer(state: &State, size: (u16, u16), theme: &Theme) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).expect("a buffer is always there");
    terminal.draw(|frame| _ = qtop::ui::view(state, theme, frame)).expect("drawing into a buffer cannot fail");
    terminal.backend().buffer().clone()
}

/// The lines as a person reads them; the second column of a wide character is left out.
fn lines(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    (0..area.height)
        .map(|y| {
            let mut line = String::new();
            let mut x = 0;
            while x < area.width {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                x += qtop::domain::text::width(symbol).max(1) as u16;
            }
            line.trim_end().to_owned()
        })
        .collect()
}

/// The screen as text, with the dark theme.
fn drawn(state: &State, size: (u16, u16)) -> String {
    lines(&buffer(state, size, &theme(&UNICODE))).join("\n")
}

/// Compares the screen with what was approved, at each of the sizes.
fn approve(name: &str, state: &State, sizes: &[(u16, u16)]) {
    for size in sizes {
        approve_text(&format!("{name}_{}x{}", size.0, size.1), &drawn(state, *size));
    }
}

/// Compares text with what was approved. Here, so that all approved files lie in one folder.
fn approve_text(name: &str, text: &str) {
    insta::assert_snapshot!(name, text);
}
