//! One file for each screen: what stands in the body between the tab line and the footer.
//!
//! A screen draws rows that [`crate::app::rows`] derives, so that the cursor and what is seen agree. It changes nothing
//! and decides nothing.

mod detail;
mod failures;
mod job;
mod job_cells;
mod listing;
mod logs;
mod queue;
mod queues;
mod runner;
mod running;
mod scheduled;
mod server;
mod workers;

pub use server::cost;

use std::time::Duration;

use ratatui::layout::Rect;

use super::canvas::{Canvas, Phrase};
use super::scene::Scene;
use super::widgets::empty;
use crate::app::screen::Screen;
use crate::app::state::Loaded;
use crate::domain::ids::QueueId;
use crate::domain::text;
use crate::theme::Role;

/// Where the main list of a screen was drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Rows that fit.
    pub rows: u16,
    /// Screen row of the first.
    pub top: u16,
}

/// What the second line says below the top level, instead of the tabs: what is being looked at.
pub fn subject(scene: &Scene<'_>, canvas: &Canvas<'_>) -> Option<Phrase> {
    match scene.state.navigation.current() {
        Screen::Queue(_) => scene.state.queue.as_ref().map(|view| queue::subject(scene, canvas, view)),
        Screen::Job(_) => scene.state.job.as_ref().map(|view| job::subject(scene, view)),
        _ => None,
    }
}

/// Draws the body of the present screen.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Body {
    match scene.state.navigation.current() {
        Screen::Queues => queues::draw(scene, canvas, area),
        Screen::Running => running::draw(scene, canvas, area),
        Screen::Failures => failures::draw(scene, canvas, area),
        Screen::Workers => workers::draw(scene, canvas, area),
        Screen::Scheduled => scheduled::draw(scene, canvas, area),
        Screen::Runner => runner::draw(scene, canvas, area),
        Screen::Server => server::draw(scene, canvas, area),
        Screen::Logs => logs::draw(scene, canvas, area),
        Screen::Queue(_) => queue::draw(scene, canvas, area),
        Screen::Job(_) => job::draw(scene, canvas, area),
    }
}

/// What stands where rows would be while there are none: being read, not read and why, or `nothing`.
fn no_rows<T>(
    scene: &Scene<'_>,
    canvas: &mut Canvas<'_>,
    area: Rect,
    loaded: &Loaded<T>,
    what: &str,
    nothing: (&str, &[String]),
) {
    if let Some(error) = &loaded.error {
        let mut lines = vec![error.text.clone()];
        lines.extend(error.remedy.clone());
        empty::draw(canvas, area, Role::Error, &format!("{what} could not be read."), &lines);
    } else if loaded.received.is_none() && loaded.data.is_none() {
        let waited = loaded.asked.map(|asked| scene.since(asked)).filter(|waited| waited.as_secs() > 0);
        let waited = waited.map_or_else(String::new, |waited| format!(", for {} so far", text::age(waited)));
        empty::draw(canvas, area, Role::Muted, &format!("Reading{waited} …"), &[]);
    } else {
        empty::draw(canvas, area, Role::Text, nothing.0, nothing.1);
    }
}

/// From this age on, an answer that is not renewed says how old it is.
const OLD: Duration = Duration::from_secs(10);

/// How old an answer is, if it is old, and why it could not be renewed.
fn refreshed<T>(scene: &Scene<'_>, loaded: &Loaded<T>) -> Phrase {
    let age = loaded.age(scene.state.clock.mono);
    match (&loaded.error, age) {
        (Some(error), Some(age)) => {
            Phrase::of(Role::Error, format!("{} old, not renewed: {}", text::age(age), error.text))
        }
        (None, Some(age)) if age >= OLD => Phrase::of(Role::Warn, format!("read {} ago", text::age(age))),
        _ => Phrase::new(),
    }
}

/// Queues that could not be read among several.
fn failed_queues(failed: &[(QueueId, String)]) -> Phrase {
    let Some(((queue, reason), others)) = failed.split_first() else { return Phrase::new() };
    let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
    Phrase::of(Role::Error, format!("not read: {}{more}: {reason}", text::fit(&queue.name.to_text(), 24)))
}
