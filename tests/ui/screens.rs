//! Every screen with realistic data, at every size.

use qtop::app::screen::Screen;
use qtop::app::views::{JobTab, PayloadView, SearchView};
use qtop::domain::job::Search;

use super::{SIZES, approve, drawn, fixture, reports};
use qtop::app::state::{Details, Loaded};

#[test]
fn queues() {
    approve("queues", &fixture::busy(), &SIZES);
}

#[test]
fn details_lie_where_they_are_wanted() {
    let mut state = fixture::busy();
    state.details = Details::Right;
    approve("queues_details_right", &state, &SIZES[2..]);
    state.details = Details::Off;
    assert!(!drawn(&state, (160, 45)).contains("samples"));
}

#[test]
fn queues_as_a_tree_with_marks_and_a_filter() {
    let mut state = fixture::busy();
    fixture::sampled(&mut state, vec![fixture::instance("bullmq", "bull", fixture::BULLMQ, fixture::nested())]);
    state.queues.tree = true;
    state.queues.list.marks.insert(fixture::nested()[0].id.clone());
    state.queues.list.filter = "!old".into();
    approve("queues_tree", &state, &SIZES[..1]);
}

#[test]
fn queues_of_several_instances_are_told_apart() {
    let mut state = fixture::busy();
    let instances = ["app:prod", "app:staging"]
        .map(|name| fixture::instance("bullmq", name, fixture::BULLMQ, vec![fixture::mail_of(name)]));
    fixture::sampled(&mut state, instances.into());
    approve("queues_instances", &state, &[(80, 24), (160, 45)]);
}

#[test]
fn queue_active() {
    let mut state = fixture::busy();
    fixture::open_queue(&mut state, "active", fixture::active_jobs());
    approve("queue_active", &state, &SIZES);
}

#[test]
fn queue_failed() {
    let mut state = fixture::busy();
    fixture::open_queue(&mut state, "failed", fixture::failed_jobs());
    approve("queue_failed", &state, &SIZES);
}

#[test]
fn queue_waiting_is_a_window_on_a_long_list() {
    let mut state = fixture::busy();
    fixture::open_queue(&mut state, "waiting", fixture::waiting_jobs(100));
    fixture::goes_on(&mut state, 1_201);
    let view = state.queue.as_mut().expect("the queue is open");
    view.list.cursor = Some(view.rows[30].id.clone());
    view.list.marks.insert(view.rows[28].id.clone());
    approve("queue_waiting", &state, &SIZES[..1]);
}

#[test]
fn queue_search_says_how_far_it_is() {
    let mut state = fixture::busy();
    fixture::open_queue(&mut state, "failed", fixture::failed_jobs());
    let view = state.queue.as_mut().expect("the queue is open");
    view.search = Some(SearchView {
        search: Search { text: "timeout".into(), payload_bytes: 4_096 },
        hits: fixture::failed_jobs()[..2].to_vec(),
        scanned: 1_200,
        total: Some(18_411),
        next: None,
        budget: 10_000,
        running: true,
        stopped: false,
        step: Loaded::default(),
    });
    approve("queue_search", &state, &SIZES[..1]);
}

#[test]
fn job_parts() {
    for (name, tab) in [
        ("data", JobTab::Data),
        ("options", JobTab::Options),
        ("result", JobTab::Result),
        ("logs", JobTab::Logs),
        ("timeline", JobTab::Timeline),
        ("family", JobTab::Family),
        ("keys", JobTab::Keys),
    ] {
        let mut state = fixture::busy();
        reports::open_job(&mut state, reports::full_job(), tab);
        approve(&format!("job_{name}"), &state, &SIZES[..1]);
    }
}

#[test]
fn job_data_on_wide_screens() {
    let mut state = fixture::busy();
    reports::open_job(&mut state, reports::full_job(), JobTab::Data);
    approve("job_data", &state, &SIZES[1..]);
}

#[test]
fn job_payload_as_stored_and_as_bytes() {
    for (name, payload) in [("raw", PayloadView::Raw), ("hex", PayloadView::Hex)] {
        let mut state = fixture::busy();
        reports::open_job(&mut state, reports::full_job(), JobTab::Data);
        state.job.as_mut().expect("the job is open").payload = payload;
        approve(&format!("job_{name}"), &state, &SIZES[..1]);
    }
}

#[test]
fn job_that_failed_shows_its_error() {
    let mut state = fixture::busy();
    reports::open_job(&mut state, reports::failed_job(), JobTab::Error);
    approve("job_error", &state, &SIZES[..1]);
}

#[test]
fn job_that_is_gone_says_so() {
    let mut state = fixture::busy();
    reports::open_job(&mut state, reports::full_job(), JobTab::Data);
    let view = state.job.as_mut().expect("the job is open");
    view.loaded.data = Some(None);
    assert!(drawn(&state, (80, 24)).contains("This job does not exist."));
}

#[test]
fn running() {
    let mut state = fixture::busy();
    reports::running(&mut state);
    approve("running", &state, &SIZES);
}

#[test]
fn failures() {
    let mut state = fixture::busy();
    reports::failures(&mut state);
    approve("failures", &state, &SIZES);
}

#[test]
fn failures_of_one_cause() {
    let mut state = fixture::busy();
    reports::failures(&mut state);
    state.failures.open = state.failures.loaded.data.as_ref().map(|report| report.groups[0].fingerprint.clone());
    approve("failures_group", &state, &SIZES[..1]);
}

#[test]
fn workers() {
    let mut state = fixture::busy();
    reports::workers(&mut state);
    approve("workers", &state, &SIZES);
}

#[test]
fn scheduled() {
    let mut state = fixture::busy();
    reports::scheduled(&mut state);
    approve("scheduled", &state, &SIZES);
}

#[test]
fn server() {
    let mut state = fixture::busy();
    state.navigation.jump(Screen::Server);
    approve("server", &state, &SIZES);
}

#[test]
fn server_offers_keys_that_may_be_queues() {
    let mut state = fixture::busy();
    fixture::offering(&mut state);
    assert!(drawn(&state, (160, 45)).contains("1 key may be a queue (7)"));
    state.navigation.jump(Screen::Server);
    approve("server_offers", &state, &SIZES[1..2]);
}

#[test]
fn server_that_evicts_keys_warns() {
    let mut state = fixture::busy();
    fixture::evicting(&mut state);
    approve("server_evicting", &state, &SIZES[..1]);
}

#[test]
fn runner_says_that_there_is_none() {
    let mut state = fixture::busy();
    state.navigation.jump(Screen::Runner);
    approve("runner", &state, &SIZES[..1]);
}

#[test]
fn logs() {
    let mut state = fixture::busy();
    reports::logs(&mut state);
    approve("logs", &state, &SIZES[..2]);
}

#[test]
fn chosen_columns_are_shown_in_their_order_on_every_table() {
    for (table, columns, heads, hidden) in [
        ("queues", ["failed", "queue"], ["FAIL", "QUEUE"], "OLDEST"),
        ("jobs", ["worker", "id"], ["WORKER", "ID"], "NAME"),
        ("running", ["run", "queue"], ["RUN", "QUEUE"], "PROGRESS"),
        ("failures", ["error", "count"], ["ERROR", "COUNT"], "FIRST"),
        ("workers", ["state", "name"], ["STATE", "WORKER"], "RUNS NOW"),
        ("scheduled", ["rule", "next"], ["RULE", "NEXT"], "KIND"),
    ] {
        let mut state = fixture::busy();
        match table {
            "jobs" => fixture::open_queue(&mut state, "failed", fixture::failed_jobs()),
            "running" => reports::running(&mut state),
            "failures" => reports::failures(&mut state),
            "workers" => reports::workers(&mut state),
            "scheduled" => reports::scheduled(&mut state),
            _ => {}
        }
        let chosen = columns.iter().map(|name| (*name).to_owned()).collect();
        state.settings.columns.insert(table.to_owned(), chosen);
        let screen = drawn(&state, (120, 40));
        let head = screen.lines().skip(2).find(|line| heads.iter().all(|head| line.contains(head)));
        let head = head.unwrap_or_else(|| panic!("{table} has no line with {heads:?}:\n{screen}"));
        assert!(head.find(heads[0]) < head.find(heads[1]), "{table}: {head}");
        assert!(!head.contains(hidden), "{table}: {head}");
    }
}
