//! The Queue screen: pages ahead, the cursor on a job, searches.

use proptest::prelude::*;
use qtop::app::effect::{Effect, Slot};
use qtop::app::message::{Clock, Message};
use qtop::app::rows;
use qtop::app::state::State;
use qtop::app::target;
use qtop::app::update::update;
use qtop::domain::fetch::{FetchError, Fetched, Request};
use qtop::domain::ids::JobId;
use qtop::domain::job::{Blob, Job, JobRow, SearchStep};
use qtop::domain::state::{StateId, StateKind};

use super::desk::{Desk, page, snapshot};

const QUEUES: &[(&str, [u64; 3])] = &[("mail", [1_000, 0, 3])];

#[test]
fn pages_are_fetched_ahead_of_the_cursor() {
    let mut desk = Desk::new(80, 24);
    desk.list("waiting", 0..1_000).sampled(1, QUEUES).keys("enter").sees("job-0");
    for _ in 0..30 {
        desk.keys("pagedown").look(|_| ());
    }
    desk.run();
    let view = desk.state.queue.as_ref().unwrap();
    assert!(view.rows.len() >= 500, "{} rows are loaded", view.rows.len());
    assert!(view.list.last_index > 400, "the cursor is at {}", view.list.last_index);
}

#[test]
fn f10_scrolling_through_a_million_jobs_keeps_a_window() {
    let mut desk = Desk::new(80, 24);
    desk.list("waiting", 0..1_000_000).sampled(1, QUEUES).keys("enter");
    for _ in 0..100 {
        desk.keys("G");
        // Each step is a frame of its own, as a person would press it.
        desk.look(|_| ());
    }
    desk.look(|screen| assert!(screen.contains("job-9"), "{screen}"));
    desk.run();
    let view = desk.state.queue.as_ref().unwrap();
    assert!(view.rows.len() <= 2_100, "{} rows are kept", view.rows.len());
    assert!(view.pages.offset() + view.rows.len() > 5_000);
}

#[test]
fn going_up_again_loads_what_was_dropped() {
    let mut desk = Desk::new(80, 24);
    desk.list("waiting", 0..10_000).sampled(1, QUEUES).keys("enter");
    for _ in 0..60 {
        desk.keys("G").look(|_| ());
    }
    for _ in 0..600 {
        desk.keys("pageup").look(|_| ());
    }
    desk.sees("job-0 ");
    desk.run();
    assert_eq!(desk.state.queue.as_ref().unwrap().pages.offset(), 0);
}

#[test]
fn p7_opening_a_queue_reads_one_page_and_no_job() {
    let mut desk = Desk::new(80, 24);
    desk.list("waiting", 0..20).sampled(1, QUEUES).keys("enter").wishes(|wishes| {
        assert!(
            matches!(wishes, [Effect::Fetch { slot: Slot::Page, request: Request::Jobs { .. }, .. }]),
            "{wishes:?}"
        );
    });
    desk.run();
}

fn search_answer(state: &mut State, effects: &[Effect], hits: Vec<JobRow>, scanned: u64, more: bool) -> Vec<Effect> {
    let ticket = effects.iter().find_map(|effect| match effect {
        Effect::Fetch { ticket, slot: Slot::Search, .. } => Some(*ticket),
        _ => None,
    });
    let next = more.then(|| qtop::domain::job::Cursor("next".to_owned()));
    let result = Ok(Fetched::Search(SearchStep { hits, scanned, next, total: Some(100_000) }));
    update(state, Message::Fetched { ticket: ticket.expect("a step of the search"), slot: Slot::Search, result })
}

#[test]
fn p20_a_search_goes_in_steps_and_pauses_and_can_be_stopped() {
    let mut desk = Desk::new(80, 24);
    desk.list("waiting", 0..20).sampled(1, QUEUES).keys("enter / /").text("needle");
    desk.sees("needle");
    desk.run();
    let state = &mut desk.state;
    let enter = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Enter);
    let mut effects = update(state, Message::Input(qtop::app::message::Input::Key(enter)));
    let hit = || vec![JobRow::bare("4711", StateId("waiting"), StateKind::Waiting)];
    for step in 0..20 {
        let search = state.queue.as_ref().unwrap().search.as_ref().unwrap();
        assert!(search.running, "step {step}");
        effects = search_answer(state, &effects, if step == 0 { hit() } else { Vec::new() }, 500, true);
    }
    assert_eq!(effects, [], "it pauses after ten thousand jobs");
    let search = state.queue.as_ref().unwrap().search.as_ref().unwrap();
    assert_eq!((search.running, search.scanned, search.total), (false, 10_000, Some(100_000)));
    assert_eq!(rows::jobs(state).len(), 1);

    let key = |c: char| {
        Message::Input(qtop::app::message::Input::Key(crossterm::event::KeyEvent::from(
            crossterm::event::KeyCode::Char(c),
        )))
    };
    let effects = update(state, key('.'));
    assert!(matches!(effects[..], [Effect::Fetch { slot: Slot::Search, .. }]), "{effects:?}");
    let esc = Message::Input(qtop::app::message::Input::Key(crossterm::event::KeyCode::Esc.into()));
    assert_eq!(update(state, esc.clone()), [Effect::Abandon(Slot::Search)]);
    assert!(state.queue.as_ref().unwrap().search.as_ref().unwrap().stopped);
    update(state, esc);
    assert!(state.queue.as_ref().unwrap().search.is_none());
    assert_eq!(rows::jobs(state).len(), 20);
}

#[test]
fn a_failed_read_keeps_the_rows_and_a_stale_answer_is_ignored() {
    let mut desk = Desk::new(80, 24);
    desk.list("waiting", 0..20).sampled(1, QUEUES).keys("enter");
    desk.run();
    let state = &mut desk.state;
    let clock = Clock { mono: state.clock.mono + std::time::Duration::from_secs(1), ..state.clock };
    update(state, Message::Clock(clock));
    let effects = update(state, Message::Sampled(snapshot(2, clock.mono, QUEUES)));
    let [Effect::Fetch { ticket, slot: Slot::Page, .. }] = effects[..] else { panic!("{effects:?}") };
    let error = FetchError { text: "HMGET was refused".to_owned(), remedy: None };
    update(state, Message::Fetched { ticket, slot: Slot::Page, result: Err(error.clone()) });
    let view = state.queue.as_ref().unwrap();
    assert_eq!((view.rows.len(), view.page.error.as_ref()), (20, Some(&error)));
    let late = Ok(Fetched::Jobs(page(&[99], StateId("waiting"), &Default::default())));
    update(state, Message::Fetched { ticket, slot: Slot::Page, result: late });
    assert_eq!(state.queue.as_ref().unwrap().rows.len(), 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Jobs come and go before, behind and under the cursor; as long as its job is in the list, it stays on it.
    #[test]
    fn the_selection_follows_the_job(
        changes in prop::collection::vec((0_usize..40, 0_usize..12, prop::bool::ANY), 1..30),
        start in 0_usize..60,
    ) {
        let mut desk = Desk::new(80, 24);
        let mut list: Vec<u32> = (0..60).collect();
        desk.list("waiting", list.clone()).sampled(1, QUEUES).keys("enter");
        for _ in 0..start { desk.keys("j"); }
        desk.run();
        let state = &mut desk.state;
        let mut fresh = 1_000;
        for (seq, (at, count, add)) in changes.into_iter().enumerate() {
            let before = target::job(state).map(|job| job.id);
            let at = at.min(list.len());
            if add {
                list.splice(at..at, (0..count).map(|n| fresh + n as u32));
                fresh += 100;
            } else {
                list.drain(at..(at + count).min(list.len()));
            }
            let clock = Clock { mono: state.clock.mono + std::time::Duration::from_secs(1), ..state.clock };
            update(state, Message::Clock(clock));
            let sampled = Message::Sampled(snapshot(seq as u64 + 2, clock.mono, QUEUES));
            for effect in update(state, sampled) {
                if let Effect::Fetch { ticket, slot, request: Request::Jobs { state: tab, page: wanted, .. } } = effect {
                    let result = Ok(Fetched::Jobs(page(&list, tab, &wanted)));
                    update(state, Message::Fetched { ticket, slot, result });
                }
            }
            let after = target::job(state).map(|job| job.id);
            let there = |id: &JobId| list.iter().take(100).any(|known| known.to_string() == id.to_text());
            match before {
                Some(before) if there(&before) => prop_assert_eq!(after, Some(before)),
                _ => prop_assert_eq!(after.is_some(), !list.is_empty()),
            }
        }
    }
}

#[test]
fn a_followed_job_takes_the_screen_along_to_its_next_state() {
    let mut desk = Desk::new(80, 24);
    desk.list("waiting", 0..20).list("active", [3]);
    desk.sampled(1, &[("mail", [20, 0, 0])]).keys("enter").sees("job-3 ").keys("j j j f").sees("following 3");
    desk.run();
    let mut state = desk.state;
    // A worker has taken it: the next page is without it.
    let queue = &[("mail", [19, 1, 0])];
    state.clock.mono += std::time::Duration::from_secs(2);
    let now = state.clock.mono;
    let effects = update(&mut state, Message::Sampled(snapshot(9, now, queue)));
    let waiting: Vec<u32> = (0..20).filter(|id| *id != 3).collect();
    let mut asked = None;
    for effect in effects {
        if let Effect::Fetch { ticket, slot: Slot::Page, request: Request::Jobs { page: request, .. } } = effect {
            let result = Ok(Fetched::Jobs(page(&waiting, StateId("waiting"), &request)));
            let answers = update(&mut state, Message::Fetched { ticket, slot: Slot::Page, result });
            asked = answers.into_iter().find_map(|effect| match effect {
                Effect::Fetch { ticket, slot: Slot::Follow, request: Request::Job { job, .. } } => Some((ticket, job)),
                _ => None,
            });
        }
    }
    let (ticket, job) = asked.expect("it is asked where the job has gone");
    assert_eq!(job.id, JobId::from("3"));
    let found = Ok(Fetched::Job(Some(Box::new(Job {
        row: JobRow::bare("3", StateId("active"), StateKind::Active),
        payload: Blob::default(),
        options: None,
        result: None,
        error: None,
        stack: Vec::new(),
        logs: Vec::new(),
        logs_total: None,
        parent: None,
        children: Vec::new(),
        keys: Vec::new(),
        facts: Vec::new(),
    }))));
    update(&mut state, Message::Fetched { ticket, slot: Slot::Follow, result: found });
    let view = state.queue.as_ref().expect("the queue is open");
    assert_eq!(view.tab, StateId("active"));
    assert_eq!(view.list.cursor, Some(JobId::from("3")));
    assert!(view.follow.is_some(), "it is followed further");
}
