//! Too small, empty, stale, broken, hostile: what must hold whatever the data is.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use qtop::app::screen::Screen;
use qtop::app::state::{Loaded, Overlay, State};
use qtop::app::views::JobTab;
use qtop::domain::fetch::FetchError;
use qtop::domain::ids::QueueId;
use qtop::domain::snapshot::{DiscoveryProgress, LinkHealth, Snapshot};
use qtop::theme::{ASCII, UNICODE};

use super::{SIZES, approve, approve_text, buffer, drawn, fixture, lines, reports, theme};

/// Every screen with data, by name.
fn every_screen() -> Vec<(&'static str, State)> {
    let mut states = vec![("queues", fixture::busy()), ("blank", fixture::blank())];
    let mut add = |name: &'static str, change: &dyn Fn(&mut State)| {
        let mut state = fixture::busy();
        change(&mut state);
        states.push((name, state));
    };
    add("queue", &|state| fixture::open_queue(state, "active", fixture::active_jobs()));
    add("queue failed", &|state| fixture::open_queue(state, "failed", fixture::failed_jobs()));
    for (name, tab) in [
        ("job data", JobTab::Data),
        ("job options", JobTab::Options),
        ("job error", JobTab::Error),
        ("job logs", JobTab::Logs),
        ("job timeline", JobTab::Timeline),
        ("job family", JobTab::Family),
        ("job keys", JobTab::Keys),
    ] {
        add(name, &|state| reports::open_job(state, reports::failed_job(), tab));
    }
    add("running", &reports::running);
    add("failures", &reports::failures);
    add("workers", &reports::workers);
    add("scheduled", &reports::scheduled);
    add("server", &|state| state.navigation.jump(Screen::Server));
    add("evicting", &fixture::evicting);
    add("runner", &|state| state.navigation.jump(Screen::Runner));
    add("logs", &reports::logs);
    add("help", &|state| state.overlay = Some(Overlay::Help { scroll: 0 }));
    add("cost", &|state| state.overlay = Some(Overlay::Cost));
    add("menu", &|state| state.overlay = Some(Overlay::Menu { index: 3 }));
    add("palette", &|state| state.overlay = Some(Overlay::Palette(Default::default())));
    add("why", &|state| {
        let queue = QueueId::new("bullmq", "bull", "reports");
        let loaded = reports::fresh(state, reports::reasons());
        state.overlay = Some(Overlay::Why { queue, job: None, loaded, scroll: 0 });
    });
    states
}

#[test]
fn u8_too_small_says_so_and_how_to_quit() {
    approve("too_small", &fixture::busy(), &[(40, 12)]);
    for size in [(59, 24), (80, 14), (10, 3), (1, 1)] {
        assert!(!drawn(&fixture::busy(), size).contains("Queues"), "{size:?}");
    }
    assert!(drawn(&fixture::busy(), (60, 15)).contains("Queues"));
}

#[test]
fn before_the_first_answer() {
    approve("connecting", &fixture::blank(), &SIZES[..1]);
    let mut state = fixture::blank();
    Arc::make_mut(&mut state.snapshot).link = LinkHealth::Connecting {
        last_error: Some("connect to queues.example:6379: connection refused; is Redis running there?".into()),
    };
    approve("connecting_failed", &state, &SIZES[..1]);
}

#[test]
fn no_queues_and_what_might_be_some() {
    let mut state = fixture::blank();
    fixture::sampled(&mut state, vec![]);
    approve("empty", &state, &SIZES[..1]);
    fixture::offering(&mut state);
    approve("empty_offers", &state, &SIZES[..1]);
    let snapshot = Arc::make_mut(&mut state.snapshot);
    snapshot.discovery = DiscoveryProgress { passes: 0, share: 0.42, scanned: 210_000, offers: vec![] };
    approve("looking", &state, &SIZES[..1]);
}

#[test]
fn u17_old_data_says_so_on_every_screen() {
    for (name, mut state) in every_screen().into_iter().filter(|(name, _)| *name != "blank") {
        state.clock.mono += Duration::from_secs(12);
        let screen = drawn(&state, (80, 24));
        assert!(screen.contains("STALE 12s"), "{name}:\n{screen}");
    }
}

#[test]
fn when_redis_is_gone_the_last_values_stay_and_the_reason_is_told() {
    let mut state = fixture::busy();
    let since = state.clock.mono;
    state.clock.mono += Duration::from_secs(72);
    Arc::make_mut(&mut state.snapshot).link = LinkHealth::Down {
        since,
        error: "connect to queues.example:6379: connection refused".into(),
        remedy: Some("Is Redis running there?".into()),
    };
    approve("down", &state, &SIZES[..1]);
}

#[test]
fn the_clock_is_shown_when_asked_for() {
    let mut state = fixture::busy();
    assert!(!drawn(&state, (80, 24)).contains("14:03:00"));
    state.settings.show_clock = true;
    assert!(drawn(&state, (80, 24)).contains("14:03:00"));
}

#[test]
fn a_frozen_screen_says_so() {
    let mut state = fixture::busy();
    state.frozen = Some(state.snapshot.clone());
    state.clock.mono += Duration::from_secs(5);
    assert!(drawn(&state, (80, 24)).contains("FROZEN 5s"));
}

#[test]
fn s16_unchecked_certificates_are_told_on_every_screen() {
    for (name, mut state) in every_screen() {
        state.server.insecure = true;
        if state.overlay.is_none() {
            assert!(drawn(&state, (80, 24)).contains("certificates are not checked"), "{name}");
        }
    }
}

#[test]
fn reads_that_failed_say_what_was_tried() {
    let error = FetchError {
        text: "ZREVRANGE bull:mail:failed: NOPERM this user has no permissions to access the key".into(),
        remedy: Some("Allow reading with: ACL SETUSER qtop %R~bull:*".into()),
    };
    let mut state = fixture::busy();
    fixture::open_queue(&mut state, "failed", vec![]);
    state.queue.as_mut().expect("the queue is open").page = Loaded { error: Some(error.clone()), ..Loaded::default() };
    approve("queue_error", &state, &SIZES[..1]);
    let mut state = fixture::busy();
    state.navigation.jump(Screen::Workers);
    state.workers.loaded.error = Some(error);
    assert!(drawn(&state, (80, 24)).contains("Workers could not be read."));
}

#[test]
fn lists_say_why_they_are_empty() {
    let mut state = fixture::busy();
    fixture::open_queue(&mut state, "prioritized", vec![]);
    assert!(drawn(&state, (80, 24)).contains("Nothing waits."));
    let mut state = fixture::busy();
    state.queues.list.filter = "nosuch".into();
    assert!(drawn(&state, (80, 24)).contains("No queue matches the filter."));
    for (screen, words) in [
        (Screen::Running, "Reading"),
        (Screen::Failures, "Reading"),
        (Screen::Workers, "Reading"),
        (Screen::Scheduled, "Reading"),
        (Screen::Logs, "Nothing was logged yet."),
    ] {
        let mut state = fixture::busy();
        state.navigation.jump(screen.clone());
        assert!(drawn(&state, (80, 24)).contains(words), "{screen:?}");
    }
}

#[test]
fn what_is_unknown_is_never_zero() {
    let mut state = fixture::busy();
    fixture::unknown(&mut state);
    approve("unknown", &state, &[(80, 24), (160, 45)]);
}

#[test]
fn u19_wide_combining_and_hostile_names_keep_the_columns() {
    let mut state = fixture::busy();
    fixture::hostile(&mut state);
    approve("hostile", &state, &[(80, 24), (120, 40)]);
    let lines = lines(&buffer(&state, (80, 24), &theme(&UNICODE)));
    let head = lines.iter().find(|line| line.contains("WAIT")).expect("the heads are drawn");
    let column = qtop::domain::text::width(&head[..head.find("WAIT").expect("found above")]) + 4;
    for line in lines.iter().filter(|line| line.contains(" bullmq ")) {
        let number = line.find(" 42 ").expect("each row has its count of waiting jobs") + 3;
        assert_eq!(qtop::domain::text::width(&line[..number]), column, "{line}");
    }
}

#[test]
fn s3_nothing_from_redis_reaches_the_terminal_raw() {
    let mut state = fixture::busy();
    fixture::hostile(&mut state);
    for size in SIZES {
        for cell in buffer(&state, size, &theme(&UNICODE)).content() {
            let raw = cell.symbol().chars().any(|c| c.is_control() || ('\u{202A}'..='\u{202E}').contains(&c));
            assert!(!raw, "{:?}", cell.symbol());
        }
    }
}

#[test]
fn u12_the_ascii_set_draws_printable_ascii_only() {
    let mut states = every_screen();
    let mut hostile = fixture::busy();
    fixture::hostile(&mut hostile);
    states.push(("hostile", hostile));
    for (name, state) in states {
        for size in SIZES.into_iter().chain([(40, 12)]) {
            for (index, cell) in buffer(&state, size, &theme(&ASCII)).content().iter().enumerate() {
                let plain = cell.symbol().bytes().all(|byte| (0x20..=0x7e).contains(&byte));
                let (x, y) = (index as u16 % size.0, index as u16 / size.0);
                assert!(plain, "{name} {size:?} at {x},{y}: {:?}", cell.symbol());
            }
        }
    }
}

#[test]
fn u12_a_screen_in_ascii() {
    let theme = theme(&ASCII);
    approve_text("queues_ascii_80x24", &lines(&buffer(&fixture::busy(), (80, 24), &theme)).join("\n"));
}

#[test]
fn u7_corner_sizes() {
    for (name, state) in every_screen() {
        for size in [(0, 0), (0, 24), (80, 0), (1, 1), (60, 15), (60, 200), (500, 15), (500, 200)] {
            let shown = buffer(&state, size, &theme(&UNICODE));
            assert_eq!((shown.area.width, shown.area.height), size, "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn u7_any_size_is_drawn(width in 0u16..=500, height in 0u16..=200, which in 0usize..64, hostile: bool) {
        let mut states = every_screen();
        let index = which % states.len();
        let mut state = states.swap_remove(index).1;
        if hostile {
            fixture::hostile(&mut state);
        }
        buffer(&state, (width, height), &theme(if which % 2 == 0 { &UNICODE } else { &ASCII }));
    }

    #[test]
    fn u19_any_name_is_drawn(name in ".{0,40}", error in ".{0,80}") {
        let mut state = fixture::busy();
        fixture::named(&mut state, &name, &error);
        for size in [(80, 24), (160, 45)] {
            for cell in buffer(&state, size, &theme(&UNICODE)).content() {
                prop_assert!(!cell.symbol().chars().any(char::is_control));
            }
        }
    }
}

#[test]
fn a_snapshot_without_queues_has_no_totals() {
    let state = fixture::blank();
    let empty: &Snapshot = state.shown();
    assert_eq!(empty.queues().count(), 0);
    assert!(!drawn(&state, (80, 24)).contains("waiting"));
}
