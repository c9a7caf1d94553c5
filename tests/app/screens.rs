//! Going about: keys, palette, filter, help, quitting.

use std::time::Duration;

use qtop::app::effect::Effect;
use qtop::app::message::{Clock, Input, Message};
use qtop::app::screen::Screen;
use qtop::app::settings::Settings;
use qtop::app::state::{ServerView, State, TimeStyle};
use qtop::app::update::update;
use qtop::domain::fetch::Request;
use qtop::run::Ended;
use qtop::term::{Event, Signal};

use super::desk::Desk;

const QUEUES: &[(&str, [u64; 3])] =
    &[("mail", [10, 2, 0]), ("reports", [3, 0, 5]), ("app:video:hd", [1, 1, 0]), ("app:video:sd", [0, 0, 0])];

#[test]
fn number_keys_lead_to_the_screens_and_ask_for_their_data() {
    let mut desk = Desk::new(80, 24);
    desk.sampled(1, QUEUES).sees("reports").wishes(|wishes| assert_eq!(wishes, []));
    desk.keys("2").wishes(|wishes| {
        assert!(matches!(wishes, [Effect::Fetch { request: Request::Running { .. }, .. }]), "{wishes:?}");
    });
    desk.keys("!").wishes(|wishes| {
        assert!(matches!(wishes, [Effect::Fetch { request: Request::Failures { .. }, .. }]), "{wishes:?}");
    });
    desk.keys("- -");
    assert!(matches!(desk.run(), Ended::Quit));
    assert_eq!(*desk.state.navigation.current(), Screen::Failures);
}

#[test]
fn p5_no_second_read_starts_while_the_first_is_under_way() {
    let mut desk = Desk::new(80, 24);
    desk.sampled(1, QUEUES).keys("2").wishes(|wishes| assert_eq!(wishes.len(), 1));
    desk.sampled(2, QUEUES).sampled(3, QUEUES).wishes(|wishes| assert_eq!(wishes, [], "the first answer never came"));
    desk.run();
}

#[test]
fn a_filter_works_as_it_is_typed_and_esc_undoes_the_narrowest_first() {
    let mut desk = Desk::new(80, 24);
    desk.sampled(1, QUEUES).keys("/").text("failed:>0");
    desk.look(|screen| assert!(screen.contains("reports") && !screen.contains("mail"), "{screen}"));
    desk.keys("enter space").keys("esc").sees("mail");
    desk.look(|screen| assert!(screen.contains("reports"), "{screen}"));
    desk.run();
    assert_eq!(desk.state.queues.list.filter, "");
    assert_eq!(desk.state.queues.list.marks.len(), 1, "marks are cleared by the next Esc only");
}

#[test]
fn only_columns_on_the_screen_are_sorted_by() {
    let mut desk = Desk::new(80, 24);
    desk.sampled(1, QUEUES).sees("mail").keys("> > >").sees("WAIT");
    desk.run();
    assert_eq!(desk.state.queues.list.sort.map(|sort| sort.column), Some("waiting"));
}

#[test]
fn the_tree_groups_by_delimiter_and_folds() {
    let mut desk = Desk::new(100, 24);
    desk.state.settings.tree_delimiter = ":".to_owned();
    desk.sampled(1, QUEUES).keys("b").sees("video:");
    desk.keys("G").keys("left").look(|screen| assert!(!screen.contains("hd"), "{screen}"));
    desk.keys("enter").sees("hd");
    desk.run();
}

#[test]
fn the_palette_finds_queues_actions_and_jobs() {
    let mut desk = Desk::new(80, 24);
    desk.list("active", [1, 2]);
    desk.sampled(1, QUEUES).keys(":").text("q rep").keys("enter");
    desk.run();
    assert!(matches!(desk.state.navigation.current(), Screen::Queue(id) if id.name.to_text() == "reports"));

    let mut desk = Desk::new(80, 24);
    desk.sampled(1, QUEUES).keys(":").text("job 4711").keys("enter").wishes(|wishes| {
        assert!(matches!(wishes, [Effect::Fetch { request: Request::Find { id }, .. }] if id.to_text() == "4711"));
    });
    desk.keys(":").text("freeze").keys("enter");
    desk.run();
    assert!(desk.state.frozen.is_some());
}

#[test]
fn q_goes_back_and_quits_only_at_the_top() {
    let mut desk = Desk::new(80, 24);
    desk.list("active", [1, 2]).sampled(1, QUEUES).keys("enter ? q q q");
    assert!(matches!(desk.run(), Ended::Quit));
    assert_eq!(*desk.state.navigation.current(), Screen::Queues);
}

#[test]
fn ctrl_c_quits_from_anywhere_even_while_typing() {
    for keys in ["", "/ x y", ": z", "?"] {
        let mut desk = Desk::new(80, 24);
        desk.sampled(1, QUEUES);
        if !keys.is_empty() {
            desk.keys(keys);
        }
        // The script presses it at its end.
        assert!(matches!(desk.run(), Ended::Quit), "{keys}");
    }
}

#[test]
fn u4_a_signal_and_a_lost_terminal_end_the_loop() {
    let mut desk = Desk::new(80, 24);
    desk.event(Event::Ended(Signal::Terminate));
    assert!(matches!(desk.run(), Ended::Signal(Signal::Terminate)));
    let mut desk = Desk::new(80, 24);
    desk.event(Event::Gone);
    assert!(matches!(desk.run(), Ended::Gone));
}

#[test]
fn copies_the_address_and_the_command() {
    let mut desk = Desk::new(80, 24);
    desk.list("active", [7]).sampled(1, QUEUES).keys("y").wishes(|wishes| {
        assert_eq!(wishes, [Effect::Copy("bullmq:mail".to_owned())]);
    });
    desk.keys("enter Y").wishes(|wishes| {
        assert_eq!(wishes.last(), Some(&Effect::Copy("qtop jobs bullmq:mail --state active".to_owned())));
    });
    desk.run();
}

#[test]
fn frozen_keeps_the_picture_while_data_flows() {
    let mut desk = Desk::new(80, 24);
    desk.sampled(1, QUEUES).keys("Z").sampled(2, &[("other", [1, 1, 1])]).sees("mail");
    desk.keys("Z").sees("other");
    desk.run();
}

#[test]
fn u7_any_size_is_drawn() {
    let mut desk = Desk::new(80, 24);
    desk.sampled(1, QUEUES);
    for (columns, rows) in [(0, 0), (1, 1), (59, 14), (500, 200), (80, 24)] {
        desk.event(Event::Input(Input::Resize(columns, rows)));
    }
    desk.sees("mail");
    desk.run();
    for (columns, rows) in [(1, 1), (40, 12), (61, 16), (200, 60)] {
        let mut desk = Desk::new(columns, rows);
        desk.sampled(1, QUEUES).keys("2 3 4 5 6 7 8 1 enter ? esc : esc i");
        assert!(matches!(desk.run(), Ended::Quit));
    }
}

#[test]
fn p16_a_lost_focus_slows_down_and_a_key_speeds_up() {
    let mut desk = Desk::new(80, 24);
    desk.sampled(1, QUEUES).event(Event::Input(Input::Focus(false))).wishes(|wishes| {
        assert!(matches!(wishes, [Effect::Pace(wish)] if wish.idle), "{wishes:?}");
    });
    desk.keys("j").wishes(|wishes| {
        assert!(matches!(wishes, [Effect::Pace(wish), Effect::Refresh] if !wish.idle), "{wishes:?}");
    });
    desk.run();
}

#[test]
fn what_cannot_be_done_says_why() {
    let mut desk = Desk::new(80, 24);
    desk.sampled(1, &[]).keys("w").sees("no queue or job is selected");
    desk.run();
}

#[test]
fn a_burst_of_samples_is_one_frame() {
    let mut desk = Desk::new(80, 24);
    for seq in 1..=50 {
        desk.sampled(seq, QUEUES);
    }
    desk.run();
    assert!(desk.frames() < 10, "{} frames", desk.frames());
}

#[test]
fn a_notice_of_a_task_is_shown() {
    let mut desk = Desk::new(80, 24);
    desk.message(Message::TaskEnded { task: "sampler".to_owned(), error: "it panicked".to_owned() })
        .sees("sampler ended");
    desk.run();
}

#[test]
fn a_server_whose_tasks_start_anew_keeps_its_screen_and_another_one_does_not() {
    let server = |name: &str| ServerView { name: name.to_owned(), ..ServerView::default() };
    let mut desk = Desk::new(80, 24);
    desk.list("active", [1, 2]).sampled(1, QUEUES).keys("2").message(Message::Server(server("test"))).sees("test");
    desk.run();
    assert_eq!(*desk.state.navigation.current(), Screen::Running);
    assert_eq!(desk.state.snapshot.seq, 1);

    let mut desk = Desk::new(80, 24);
    desk.sampled(1, QUEUES).keys("2").message(Message::Server(server("other"))).sees("other");
    desk.run();
    assert_eq!(*desk.state.navigation.current(), Screen::Queues);
    assert_eq!(desk.state.snapshot.seq, 0);
}

#[test]
fn a_changed_configuration_takes_effect_and_keeps_what_was_chosen_on_the_screen() {
    let mut desk = Desk::new(80, 24);
    let keys = [("app.quit".to_owned(), vec!["ctrl-x".to_owned()])].into();
    let settings = Settings { keys, ..Settings::default() };
    desk.sampled(1, QUEUES).keys("t +").message(Message::Configured(Box::new(settings))).sees("Ctrl-x quit");
    desk.keys("q").keys("ctrl-x");
    assert!(matches!(desk.run(), Ended::Quit));
    assert_eq!(desk.state.interval, Duration::from_millis(500));
    assert_ne!(desk.state.time_style, TimeStyle::default());
}

#[test]
fn u5_ctrl_z_stops_also_while_something_is_typed() {
    for keys in ["ctrl-z", "/ a ctrl-z", ": a ctrl-z", "? ctrl-z"] {
        let mut desk = Desk::new(80, 24);
        desk.sampled(1, QUEUES).keys(keys);
        desk.wishes(|wishes| assert_eq!(wishes, [Effect::Suspend]));
        desk.run();
    }
}

#[test]
fn p16_ten_minutes_without_a_key_slow_down() {
    let mut desk = Desk::new(80, 24);
    desk.sampled(1, QUEUES);
    desk.run();
    let state = &mut desk.state;
    let at = |state: &State, seconds| Clock { mono: state.last_input + Duration::from_secs(seconds), ..state.clock };
    let soon = at(state, 599);
    assert_eq!(update(state, Message::Clock(soon)), []);
    let later = at(state, 600);
    assert!(matches!(update(state, Message::Clock(later))[..], [Effect::Pace(wish)] if wish.idle));
    let key = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Char('j'));
    let effects = update(state, Message::Input(Input::Key(key)));
    assert!(matches!(effects[..], [Effect::Pace(wish), Effect::Refresh] if !wish.idle), "{effects:?}");
}
