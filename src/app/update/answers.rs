//! Answers to deeper reads. A stale ticket is ignored; a failure keeps the last data and is shown beside it.

use std::time::Instant;

use super::{cursor, editing, fetch, find, follow};
use crate::app::effect::{Effect, Slot};
use crate::app::state::{Loaded, Overlay, State};
use crate::app::views::{JobTab, ProgressTrack};
use crate::domain::fetch::{FetchError, Fetched};
use crate::domain::ids::Ticket;
use crate::domain::job::{JobRow, SearchStep};
use crate::domain::state::StateKind;

/// Hits of a search that are kept.
const HITS: usize = 2_000;

pub(super) fn answer(
    state: &mut State,
    ticket: Ticket,
    slot: Slot,
    result: Result<Fetched, FetchError>,
) -> Vec<Effect> {
    let now = state.clock.mono;
    let taken = match slot {
        Slot::Page => page(state, ticket, result, now),
        Slot::Ahead => ahead(state, ticket, result, now),
        Slot::Search => return search(state, ticket, result, now),
        Slot::Find => return find::answer(state, ticket, result),
        Slot::Payload => return editing::payload(state, ticket, result),
        Slot::Asked => {
            let one = match &mut state.overlay {
                Some(Overlay::Ask(question)) => question.draft_mut().and_then(|draft| draft.one.as_mut()),
                _ => None,
            };
            one.is_some_and(|one| {
                take(&mut one.now, ticket, result, now, |fetched| match fetched {
                    Fetched::Job(job) => Some(job),
                    _ => None,
                })
            })
        }
        Slot::Follow => return follow::answer(state, ticket, result),
        Slot::Job => job(state, ticket, result, now),
        Slot::Running => running(state, ticket, result, now),
        Slot::Failures => take(&mut state.failures.loaded, ticket, result, now, |fetched| match fetched {
            Fetched::Failures(report) => Some(report),
            _ => None,
        }),
        Slot::Workers => take(&mut state.workers.loaded, ticket, result, now, |fetched| match fetched {
            Fetched::Workers(report) => Some(report),
            _ => None,
        }),
        Slot::Scheduled => take(&mut state.scheduled.loaded, ticket, result, now, |fetched| match fetched {
            Fetched::Scheduled(rows) => Some(rows),
            _ => None,
        }),
        Slot::Why => match &mut state.overlay {
            Some(Overlay::Why { loaded, .. }) => take(loaded, ticket, result, now, |fetched| match fetched {
                Fetched::Why(reasons) => Some(reasons),
                _ => None,
            }),
            _ => false,
        },
    };
    if !taken {
        return Vec::new();
    }
    cursor::settle(state);
    let mut effects = fetch::ahead(state);
    if slot == Slot::Page {
        effects.extend(follow::look(state));
    }
    effects
}

/// Puts an answer where it belongs; false if it was not awaited.
fn take<T>(
    loaded: &mut Loaded<T>,
    ticket: Ticket,
    result: Result<Fetched, FetchError>,
    now: Instant,
    expected: impl FnOnce(Fetched) -> Option<T>,
) -> bool {
    let answer = result.and_then(|fetched| expected(fetched).ok_or_else(foreign));
    loaded.receive(ticket, answer, now)
}

/// An answer of another kind than was asked for: a bug, said instead of hidden.
fn foreign() -> FetchError {
    FetchError { text: "the reader answered something else than was asked".to_owned(), remedy: None }
}

fn page(state: &mut State, ticket: Ticket, result: Result<Fetched, FetchError>, now: Instant) -> bool {
    let Some(view) = &mut state.queue else { return false };
    let mut rows = None;
    let taken = take(&mut view.page, ticket, result, now, |fetched| match fetched {
        Fetched::Jobs(page) => {
            rows = Some(page);
            Some(())
        }
        _ => None,
    });
    if let Some((page, name)) = rows.filter(|_| taken).zip(view.pages.refreshing.take()) {
        view.refreshed(&name, page);
        let active = view.rows.iter().filter(|row| row.kind == StateKind::Active);
        let mut seen = std::mem::take(&mut view.seen);
        let mut kept = std::collections::BTreeMap::new();
        for row in active {
            track(&mut kept, row.id.clone(), seen.remove(&row.id), row, now);
        }
        view.seen = kept;
    }
    taken
}

fn ahead(state: &mut State, ticket: Ticket, result: Result<Fetched, FetchError>, now: Instant) -> bool {
    let Some(view) = &mut state.queue else { return false };
    let mut rows = None;
    let taken = take(&mut view.ahead, ticket, result, now, |fetched| match fetched {
        Fetched::Jobs(page) => {
            rows = Some(page);
            Some(())
        }
        _ => None,
    });
    if let Some(page) = rows.filter(|_| taken) {
        if view.pages.upwards { view.prepended(page) } else { view.appended(page) }
    }
    taken
}

fn search(state: &mut State, ticket: Ticket, result: Result<Fetched, FetchError>, now: Instant) -> Vec<Effect> {
    let Some(search) = state.queue.as_mut().and_then(|view| view.search.as_mut()) else { return Vec::new() };
    let mut step = None;
    let taken = take(&mut search.step, ticket, result, now, |fetched| match fetched {
        Fetched::Search(found) => {
            step = Some(found);
            Some(())
        }
        _ => None,
    });
    if !taken {
        return Vec::new();
    }
    match step {
        Some(SearchStep { hits, scanned, next, total }) => {
            search.hits.extend(hits);
            search.hits.truncate(HITS);
            search.scanned += scanned;
            search.total = total.or(search.total);
            search.next = next;
            search.running = search.next.is_some() && search.scanned < search.budget && search.hits.len() < HITS;
        }
        // The failure is shown; going on by itself would only repeat it.
        None => search.running = false,
    }
    cursor::settle(state);
    fetch::search(state)
}

fn job(state: &mut State, ticket: Ticket, result: Result<Fetched, FetchError>, now: Instant) -> bool {
    let Some(view) = &mut state.job else { return false };
    let first = view.loaded.data.is_none();
    let taken = take(&mut view.loaded, ticket, result, now, |fetched| match fetched {
        Fetched::Job(job) => Some(job),
        _ => None,
    });
    if taken && let Some(Some(job)) = &view.loaded.data {
        view.documents.update(job);
        if let Some(percent) = job.row.progress.as_ref().and_then(|progress| progress.percent) {
            match &mut view.track {
                Some(track) => track.saw(percent, now),
                None => view.track = Some(ProgressTrack::start(percent, now)),
            }
        }
        // A failed job is opened for its error.
        if first && job.row.kind.is_bad() && view.tab == JobTab::Data {
            view.tab = JobTab::Error;
        }
    }
    taken
}

fn running(state: &mut State, ticket: Ticket, result: Result<Fetched, FetchError>, now: Instant) -> bool {
    let view = &mut state.running;
    let taken = take(&mut view.loaded, ticket, result, now, |fetched| match fetched {
        Fetched::Running(rows) => Some(rows),
        _ => None,
    });
    if taken && let Some(many) = &view.loaded.data {
        let mut seen = std::mem::take(&mut view.seen);
        let mut kept = std::collections::BTreeMap::new();
        for row in &many.rows {
            let key = crate::app::rows::queued_key(row);
            let known = seen.remove(&key);
            track(&mut kept, key, known, &row.row, now);
        }
        view.seen = kept;
    }
    taken
}

/// Goes on with a job's progress track, if it reports a share.
fn track<K: Ord>(
    kept: &mut std::collections::BTreeMap<K, ProgressTrack>,
    key: K,
    known: Option<ProgressTrack>,
    row: &JobRow,
    now: Instant,
) {
    let Some(percent) = row.progress.as_ref().and_then(|progress| progress.percent) else { return };
    let mut track = known.unwrap_or_else(|| ProgressTrack::start(percent, now));
    track.saw(percent, now);
    kept.insert(key, track);
}
