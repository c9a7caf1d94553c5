//! Screens with as much on them as there ever is: a thousand queues, full pages, long reports.

use qtop::app::list::Sort;
use qtop::app::state::{Overlay, State};
use qtop::app::views::JobTab;
use qtop::domain::fetch::{FailureGroup, QueuedRow};
use qtop::domain::ids::JobId;

use super::{fixture, reports};

/// Queues on the server.
pub const QUEUES: u64 = 1_000;
/// Rows of a full report.
const ROWS: usize = 500;

/// So many rows, made from a few, each told apart by its number.
fn repeated<T: Clone>(few: &[T], count: usize, tell_apart: impl Fn(&mut T, usize)) -> Vec<T> {
    few.iter()
        .cycle()
        .take(count)
        .enumerate()
        .map(|(number, row)| {
            let mut row = row.clone();
            tell_apart(&mut row, number);
            row
        })
        .collect()
}

fn numbered(row: &mut QueuedRow, number: usize) {
    row.row.id = JobId::from(format!("{number}"));
}

/// Every screen by name.
pub fn screens() -> Vec<(&'static str, State)> {
    let mut states = Vec::new();
    let mut add = |name: &'static str, change: &dyn Fn(&mut State)| {
        let mut state = fixture::many(QUEUES);
        change(&mut state);
        states.push((name, state));
    };
    add("queues", &|_| ());
    add("queues sorted", &|state| {
        state.queues.list.sort = Some(Sort { column: "oldest", descending: true });
    });
    add("queues filtered", &|state| state.queues.list.filter = "queue-0 waiting:>5".into());
    add("queues tree", &|state| state.queues.tree = true);
    add("queue", &|state| fixture::open_queue(state, "waiting", fixture::waiting_jobs(2_000)));
    add("queue sorted", &|state| {
        fixture::open_queue(state, "waiting", fixture::waiting_jobs(2_000));
        if let Some(view) = &mut state.queue {
            view.list.sort = Some(Sort { column: "name", descending: false });
        }
    });
    add("queue failed", &|state| {
        let rows = repeated(&fixture::failed_jobs(), ROWS, |row, number| row.id = JobId::from(format!("{number}")));
        fixture::open_queue(state, "failed", rows);
    });
    add("running", &|state| {
        reports::running(state);
        if let Some(many) = &mut state.running.loaded.data {
            many.rows = repeated(&many.rows, ROWS, numbered);
        }
    });
    add("failures", &|state| {
        reports::failures(state);
        if let Some(report) = &mut state.failures.loaded.data {
            let tell_apart = |group: &mut FailureGroup, number| group.fingerprint.push_str(&format!(" {number}"));
            report.groups = repeated(&report.groups, ROWS, tell_apart);
        }
    });
    add("jobs of a cause", &|state| {
        reports::failures(state);
        if let Some(report) = &mut state.failures.loaded.data {
            let group = &mut report.groups[0];
            group.jobs = repeated(&group.jobs, ROWS, numbered);
            state.failures.open = Some(group.fingerprint.clone());
        }
    });
    add("workers", &|state| {
        reports::workers(state);
        if let Some(report) = &mut state.workers.loaded.data {
            report.workers = repeated(&report.workers, ROWS, |worker, number| {
                worker.name = format!("worker-{number}").as_str().into();
            });
        }
    });
    add("scheduled", &|state| {
        reports::scheduled(state);
        if let Some(many) = &mut state.scheduled.loaded.data {
            many.rows = repeated(&many.rows, ROWS, |_, _| ());
        }
    });
    add("job", &|state| reports::open_job(state, reports::full_job(), JobTab::Data));
    add("job error", &|state| reports::open_job(state, reports::failed_job(), JobTab::Error));
    add("logs", &|state| {
        reports::logs(state);
        let lines: Vec<_> = state.logs.lines.iter().cloned().collect();
        state.logs.lines = repeated(&lines, 2_000, |_, _| ()).into();
    });
    add("server", &|state| state.navigation.jump(qtop::app::screen::Screen::Server));
    add("help", &|state| state.overlay = Some(Overlay::Help { scroll: 0 }));
    add("palette", &|state| state.overlay = Some(Overlay::Palette(Default::default())));
    states
}
