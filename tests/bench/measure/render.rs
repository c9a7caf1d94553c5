//! How long a frame takes to draw, without a terminal (F12).

use std::time::Instant;

use qtop::theme::{Builtin, Level, Theme, UNICODE};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use crate::full;
use crate::machine::{ms, percentile};

/// Frames of each screen.
const FRAMES: usize = 1_000;

/// Every screen at its fullest.
pub fn render() {
    println!("\n## A frame of 200x50, {} queues and full pages, {FRAMES} frames\n", full::QUEUES);
    println!("| screen | median | 99 % | largest |\n| --- | ---: | ---: | ---: |");
    let theme = Theme::builtin(Builtin::Dark, Level::True, &UNICODE);
    for (name, state) in full::screens() {
        let mut terminal = Terminal::new(TestBackend::new(200, 50)).expect("a buffer is always there");
        let mut times: Vec<_> = (0..FRAMES)
            .map(|_| {
                let start = Instant::now();
                terminal.draw(|frame| _ = qtop::ui::view(&state, &theme, frame)).expect("a buffer takes everything");
                start.elapsed()
            })
            .collect();
        println!(
            "| {name} | {} | {} | {} |",
            ms(percentile(&mut times, 0.5)),
            ms(percentile(&mut times, 0.99)),
            ms(percentile(&mut times, 1.0)),
        );
    }
}
