//! What lies over screens: each fits 80x24.

use std::time::Duration;

use qtop::app::screen::Screen;
use qtop::app::state::{Banner, Overlay, PaletteView, Prompt, PromptKind, Toast};
use qtop::domain::ids::QueueId;

use super::{SIZES, approve, drawn, fixture, reports};

#[test]
fn u23_help_fits_and_begins_with_this_screen() {
    let mut state = fixture::busy();
    fixture::open_queue(&mut state, "active", fixture::active_jobs());
    state.overlay = Some(Overlay::Help { scroll: 0 });
    approve("help", &state, &SIZES);
}

#[test]
fn help_scrolls_to_its_end() {
    let mut state = fixture::busy();
    state.overlay = Some(Overlay::Help { scroll: 10_000 });
    assert!(drawn(&state, (80, 24)).contains(" end "), "the last page says that it is the last");
}

#[test]
fn palette() {
    let mut state = fixture::busy();
    state.overlay = Some(Overlay::Palette(PaletteView { input: "re".into(), index: 1, found: vec![] }));
    approve("palette", &state, &SIZES[..1]);
}

#[test]
fn palette_before_anything_is_typed() {
    let mut state = fixture::busy();
    state.overlay = Some(Overlay::Palette(PaletteView::default()));
    approve("palette_empty", &state, &SIZES[..1]);
}

#[test]
fn why() {
    let mut state = fixture::busy();
    state.overlay = Some(Overlay::Why {
        queue: QueueId::new("bullmq", "bull", "reports"),
        job: None,
        loaded: reports::fresh(&state, reports::reasons()),
        scroll: 0,
    });
    approve("why", &state, &SIZES[..1]);
}

#[test]
fn cost() {
    let mut state = fixture::busy();
    state.overlay = Some(Overlay::Cost);
    approve("cost", &state, &SIZES[..1]);
}

#[test]
fn menu() {
    let mut state = fixture::busy();
    state.overlay = Some(Overlay::Menu { index: 2 });
    approve("menu", &state, &SIZES[..1]);
}

#[test]
fn problem_of_the_configuration() {
    let mut state = fixture::busy();
    let text = "error: unknown field `intervall`, did you mean `interval`?\n --> config.toml:3:1\n  |\n3 | intervall = 2\n  | ^^^^^^^^^\n  |\n  = the last good configuration stays in effect";
    state.banner = Some(Banner { title: "config.toml line 3: unknown field `intervall`".into(), details: text.into() });
    approve("banner", &state, &SIZES[..1]);
    state.overlay = Some(Overlay::Problem { title: "config.toml".into(), text: text.into(), scroll: 0 });
    approve("problem", &state, &SIZES[..1]);
}

#[test]
fn prompt_and_toasts() {
    let mut state = fixture::busy();
    state.prompt =
        Some(Prompt { kind: PromptKind::Filter, text: "rep".into(), at: 3, touched: true, before: String::new() });
    let until = state.clock.mono + Duration::from_secs(3);
    state.toasts = vec![
        Toast { text: "copied 48197".into(), bad: false, until, refusal: false },
        Toast { text: "no queue is selected".into(), bad: true, until, refusal: false },
    ];
    approve("prompt", &state, &SIZES[..1]);
}

#[test]
fn u18_the_environment_is_named_on_every_screen_and_overlay() {
    for screen in Screen::TABS {
        for overlay in [None, Some(Overlay::Help { scroll: 0 }), Some(Overlay::Cost), Some(Overlay::Menu { index: 0 })]
        {
            let mut state = fixture::busy();
            state.navigation.jump(screen.clone());
            state.overlay = overlay.clone();
            let named = drawn(&state, (80, 24)).matches("PROD").count();
            assert_eq!(named, if overlay.is_some() { 2 } else { 1 }, "{screen:?} {overlay:?}");
        }
    }
}

#[test]
fn keys_that_may_follow_are_shown() {
    let mut state = fixture::busy();
    state.pending = qtop::app::chord::parse_sequence("g").expect("a key");
    let screen = drawn(&state, (80, 24));
    assert!(screen.contains("To the first line"), "{screen}");
}
