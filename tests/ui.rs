//! Drawn screens: what a person sees at the sizes that matter, from states made by hand.

#[path = "ui/fixture.rs"]
mod fixture;

use qtop::app::state::State;
use qtop::theme::{Builtin, Glyphs, Level, Theme, UNICODE};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

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

fn drawn(state: &State, size: (u16, u16)) -> String {
    lines(&buffer(state, size, &theme(&UNICODE))).join("\n")
}

/// Draws at the three sizes and compares with what was approved.
macro_rules! snapshots {
    ($name:ident, $state:expr) => {
        #[test]
        fn $name() {
            let state = $state;
            for size in [(80, 24), (120, 40), (160, 45)] {
                insta::assert_snapshot!(format!("{}_{}x{}", stringify!($name), size.0, size.1), drawn(&state, size));
            }
        }
    };
}

snapshots!(queues, fixture::busy());
snapshots!(queue_active, {
    let mut state = fixture::busy();
    fixture::open_queue(&mut state, "active", fixture::active_jobs());
    state
});
snapshots!(queue_failed, {
    let mut state = fixture::busy();
    fixture::open_queue(&mut state, "failed", fixture::failed_jobs());
    state
});
snapshots!(queue_waiting, {
    let mut state = fixture::busy();
    fixture::open_queue(&mut state, "wait", fixture::waiting_jobs(60));
    fixture::goes_on(&mut state, 1_201);
    state
});
