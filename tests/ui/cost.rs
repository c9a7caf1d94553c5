//! What a frame costs: bytes to the terminal and time to draw.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use qtop::term::FrameBackend;
use qtop::theme::{Builtin, Level, Theme, UNICODE};
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::{fixture, reports, theme};

/// Counts what a terminal would get.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<usize>>);

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        *self.0.lock().expect("nobody panics while counting") += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Wire {
    fn taken(&self) -> usize {
        std::mem::take(&mut *self.0.lock().expect("nobody panics while counting"))
    }
}

/// Bytes of the first frame, and of 60 frames in which every figure moves, sorted.
fn on_the_wire(level: Level) -> (usize, Vec<usize>) {
    let wire = Wire::default();
    let options = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, 80, 24)) };
    let mut terminal =
        Terminal::with_options(FrameBackend::new(wire.clone(), false), options).expect("a fixed size asks no terminal");
    let theme = Theme::builtin(Builtin::Dark, level, &UNICODE);
    let mut state = fixture::busy();
    let mut draw = |state: &qtop::app::state::State| {
        terminal.draw(|frame| _ = qtop::ui::view(state, &theme, frame)).expect("writing into a buffer cannot fail");
        wire.taken()
    };
    let full = draw(&state);
    let mut frames: Vec<usize> = (1..=60)
        .map(|second| {
            fixture::tick(&mut state, second);
            draw(&state)
        })
        .collect();
    frames.sort_unstable();
    (full, frames)
}

#[test]
fn u9_frames_are_small_on_the_wire() {
    for level in [Level::None, Level::Ansi16, Level::Ansi256, Level::True] {
        let (full, frames) = on_the_wire(level);
        let (median, worst) = (frames[30], frames[59]);
        println!("u9: {level:?}: full redraw {full} bytes; 60 frames: median {median}, largest {worst} bytes");
        assert!(full <= 12 * 1024, "{level:?}: a full redraw takes {full} bytes");
        assert!(median <= 1024, "{level:?}: a median frame takes {median} bytes");
    }
}

#[test]
fn f5_an_unchanged_state_sends_nothing() {
    let wire = Wire::default();
    let options = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, 80, 24)) };
    let mut terminal =
        Terminal::with_options(FrameBackend::new(wire.clone(), false), options).expect("a fixed size asks no terminal");
    let theme = theme(&UNICODE);
    let state = fixture::busy();
    let mut draw = || {
        terminal.draw(|frame| _ = qtop::ui::view(&state, &theme, frame)).expect("writing into a buffer cannot fail");
        wire.taken()
    };
    draw();
    let again = draw();
    assert_eq!(again, 0, "bytes for a frame in which nothing changed");
}

#[test]
fn f12_a_large_screen_is_drawn_quickly() {
    let theme = theme(&UNICODE);
    let mut states = vec![fixture::many(1_000), fixture::busy()];
    reports::failures(&mut states[1]);
    let mut queue = fixture::busy();
    fixture::open_queue(&mut queue, "wait", fixture::waiting_jobs(2_000));
    states.push(queue);
    for (name, state) in ["1,000 queues", "failures", "2,000 jobs"].iter().zip(&states) {
        let mut terminal = Terminal::new(TestBackend::new(200, 50)).expect("a buffer is always there");
        let mut times: Vec<Duration> = (0..60)
            .map(|_| {
                let start = Instant::now();
                terminal.draw(|frame| _ = qtop::ui::view(state, &theme, frame)).expect("a buffer takes everything");
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        println!("f12: {name} at 200x50: median {:?}, worst of 60 {:?}", times[30], times[59]);
        // The promise is 4 ms for a release build; this one is unoptimised and shares its cores.
        assert!(times[30] < Duration::from_millis(250), "{name}: {:?}", times[30]);
    }
}
