//! What stands in the way of a change, for how long that is said, and what an application's own way to change jobs adds to
//! a question.

use std::time::Duration;

use qtop::app::message::Message;
use qtop::app::preview;
use qtop::app::state::{Overlay, State};
use qtop::app::update::update;
use qtop::domain::change::{Frozen, Order, Report};
use qtop::domain::described::Convention;
use qtop::domain::fetch::FetchError;
use qtop::domain::ids::Ticket;
use qtop::domain::mutation::Verb;
use qtop::domain::state::StateId;

use super::changes::{orders, plans, press, question, settled};
use super::desk::snapshot;

const QUEUES: &[(&str, [u64; 3])] = &[("mail", [0, 0, 5]), ("reports", [4, 0, 3])];

fn told(state: &State) -> Vec<&str> {
    state.toasts.iter().map(|toast| toast.text.as_str()).collect()
}

#[test]
fn u17_a_refusal_for_old_data_goes_with_the_first_fresh_data() {
    for (asked, keys) in [(false, "D"), (true, "y")] {
        let mut state = settled();
        if asked {
            press(&mut state, "D");
        }
        state.clock.mono += Duration::from_secs(12);
        press(&mut state, keys);
        assert!(told(&state).iter().any(|text| text.contains("12 s old")), "{:?}", told(&state));
        // Something else was said too, and stays.
        press(&mut state, "t");
        let others = told(&state).len() - 1;
        let fresh = snapshot(2, state.clock.mono, QUEUES);
        update(&mut state, Message::Sampled(fresh));
        assert!(!told(&state).iter().any(|text| text.contains("s old")), "{:?}", told(&state));
        assert_eq!(told(&state).len(), others);
    }
}

#[test]
fn a_frozen_screen_says_so_and_how_to_go_on() {
    let mut state = settled();
    press(&mut state, "Z D");
    assert!(told(&state).iter().any(|text| text.contains("frozen; Z shows")), "{:?}", told(&state));
    assert!(!matches!(state.overlay, Some(Overlay::Ask(_))));
    press(&mut state, "Z");
    assert_eq!(told(&state), Vec::<&str>::new());
    press(&mut state, "D");
    assert!(matches!(state.overlay, Some(Overlay::Ask(_))));
}

#[test]
fn a_reason_names_what_is_not_possible() {
    let mut state = settled();
    press(&mut state, "P");
    assert_eq!(told(&state), ["run now is not possible for failed jobs"]);
}

fn with_own_way() -> State {
    let mut state = settled();
    let text =
        "name = \"mails\"\nqueues = [\"bullmq:mail\"]\ncancel_flag = { key = \"stop:{id}\", states = [\"failed\"] }";
    let convention: Convention = toml::from_str(text).expect("a convention of this test");
    assert!(convention.changes());
    state.server.own_ways = vec![convention];
    state
}

fn previewed(state: &mut State, ticket: Ticket, lines: Result<Vec<String>, FetchError>) {
    update(state, Message::Reported(Box::new(Report::Previewed(ticket, lines))));
}

#[test]
fn the_exact_commands_of_an_applications_own_way_stand_in_the_question_before_a_yes() {
    let mut state = with_own_way();
    let ordered = orders(&press(&mut state, "D"));
    let [Order::Preview { ticket, verb: Verb::Remove, groups, .. }] = ordered.as_slice() else { panic!("{ordered:?}") };
    assert_eq!(groups, &[(StateId("failed"), vec!["1".into()])]);
    assert_eq!(orders(&press(&mut state, "y")), [], "nobody may say yes to what is not there yet");
    let lines = ["Takes it out of the set.", "exact commands, those of one job as one script:", "SREM mails 1"];
    previewed(&mut state, *ticket, Ok(lines.map(str::to_owned).to_vec()));
    let facts = preview::facts(&state, question(&state));
    let texts: Vec<&str> = facts.iter().map(|fact| fact.text.as_str()).collect();
    assert!(lines.iter().all(|line| texts.contains(line)), "{texts:?}");
    assert_eq!(
        facts.iter().filter(|fact| fact.label == "happens").count(),
        1,
        "the system's own words are not true here"
    );
    assert_eq!(plans(&press(&mut state, "y")).len(), 1);
}

#[test]
fn commands_that_cannot_be_read_are_no_reason_to_go_on_without() {
    let mut state = with_own_way();
    let ticket = orders(&press(&mut state, "D"))[0].ticket();
    previewed(&mut state, Ticket(999), Ok(vec!["of another question".to_owned()]));
    let error = FetchError { text: "HGET on test: NOPERM".to_owned(), remedy: Some("allow +hget".to_owned()) };
    previewed(&mut state, ticket, Err(error));
    let facts = preview::facts(&state, question(&state));
    assert!(facts.iter().any(|fact| fact.text == "HGET on test: NOPERM; allow +hget"), "{facts:?}");
    assert_eq!(orders(&press(&mut state, "y")), []);
}

#[test]
fn a_set_that_is_read_by_a_filter_brings_its_commands_along() {
    let mut state = with_own_way();
    let ordered = orders(&press(&mut state, "R"));
    let [Order::Freeze { ticket, .. }] = ordered.as_slice() else { panic!("{ordered:?}") };
    let commands = vec!["Puts it back.".to_owned(), "LPUSH mails 7".to_owned()];
    let groups = vec![(StateId("failed"), vec!["7".into()])];
    let frozen = Frozen { groups, looked_at: 1, commands, ..Frozen::default() };
    update(&mut state, Message::Reported(Box::new(Report::Frozen(*ticket, Ok(frozen)))));
    let facts = preview::facts(&state, question(&state));
    assert!(facts.iter().any(|fact| fact.label == "commands" && fact.text == "LPUSH mails 7"), "{facts:?}");
}

#[test]
fn a_queue_without_a_way_of_its_own_is_not_asked_about_one() {
    let mut state = with_own_way();
    press(&mut state, "esc 1 j enter");
    assert_eq!(orders(&press(&mut state, "D")), []);
}
