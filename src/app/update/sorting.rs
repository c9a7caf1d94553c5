//! Choosing the column a table is sorted by.

use crate::app::columns::{self, Align, Column};
use crate::app::list::Sort;
use crate::app::screen::Screen;
use crate::app::state::State;

/// Sorts by the next column to the right or left, of those that are on the screen. Beyond the last one lies the
/// system's own order.
pub(super) fn step(state: &mut State, right: bool) {
    let mut columns = table(state);
    let drawn = &state.geometry.columns;
    columns.retain(|column| drawn.is_empty() || drawn.contains(&column.name));
    let Some(sort) = sort(state) else { return };
    let places = columns.len() + 1;
    let present = sort.and_then(|sort| columns.iter().position(|column| column.name == sort.column));
    let present = present.unwrap_or(columns.len());
    let next = if right { (present + 1) % places } else { (present + places - 1) % places };
    *sort = columns.get(next).map(|column| Sort { column: column.name, descending: column.align == Align::Right });
}

/// Turns the order round.
pub(super) fn reverse(state: &mut State) {
    if let Some(Some(sort)) = sort(state) {
        sort.descending = !sort.descending;
    }
}

fn table(state: &State) -> Vec<&'static Column> {
    let open = state.failures.open.is_some();
    columns::table_of(state.navigation.current(), open).map_or_else(Vec::new, |name| state.settings.columns_of(name))
}

fn sort(state: &mut State) -> Option<&mut Option<Sort>> {
    match state.navigation.current() {
        Screen::Queues => Some(&mut state.queues.list.sort),
        Screen::Queue(_) => state.queue.as_mut().map(|view| &mut view.list.sort),
        Screen::Running => Some(&mut state.running.list.sort),
        Screen::Failures if state.failures.open.is_some() => Some(&mut state.failures.jobs.sort),
        Screen::Failures => Some(&mut state.failures.list.sort),
        Screen::Workers => Some(&mut state.workers.list.sort),
        Screen::Scheduled => Some(&mut state.scheduled.list.sort),
        Screen::Job(_) | Screen::Runner | Screen::Server | Screen::Logs => None,
    }
}
