//! Whether an action can be done now, and if not, why not. The reason is shown when its key is pressed.

use super::actions::{ActionId, ActionSpec, Danger};
use super::intent;
use super::runner;
use super::screen::Screen;
use super::selection;
use super::state::State;
use super::target;
use super::views::JobTab;

/// Whether an action can be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Ready,
    /// It makes sense here but cannot be done, for this reason.
    Disabled(String),
    /// It makes no sense on this screen.
    Hidden,
}

/// Whether `spec` can be done in `state`.
pub fn availability(spec: &ActionSpec, state: &State) -> Availability {
    if let Some(answer) = runner::availability(state, spec.id) {
        return answer;
    }
    if !spec.scope.covers(state.navigation.current()) {
        return Availability::Hidden;
    }
    let reason = missing_caps(spec, state)
        .or_else(|| too_dangerous(spec, state))
        .or_else(|| intent::refusal(state, spec.id))
        .or_else(|| missing_object(spec.id, state));
    reason.map_or(Availability::Ready, Availability::Disabled)
}

/// Capabilities the target's instance lacks.
fn missing_caps(spec: &ActionSpec, state: &State) -> Option<String> {
    if spec.needs.is_empty() {
        return None;
    }
    let Some(queue) = target::queue(state) else { return Some("no queue is selected".to_owned()) };
    let instance = state.shown().instances.iter().find(|instance| instance.id == queue.instance)?;
    if instance.caps.contains(spec.needs) {
        return None;
    }
    let reason = instance.caps_reason.clone();
    Some(reason.unwrap_or_else(|| format!("{} has no such thing here", instance.id.system)))
}

fn too_dangerous(spec: &ActionSpec, state: &State) -> Option<String> {
    if spec.danger == Danger::Safe { None } else { refused_now(state) }
}

/// Why nothing may be changed at this moment: changes need permission and data that is not old (U17).
pub fn refused_now(state: &State) -> Option<String> {
    if let Some(reason) = state.server.locked(state.clock.mono) {
        let remedy = if state.server.unlockable { "; the action server.unlock lifts that for a while" } else { "" };
        return Some(format!("{reason}{remedy}"));
    }
    // A Sentinel or Cluster finds its primary; a replica that is connected to directly takes no change.
    if state.shown().facts.role.as_deref() == Some("replica") {
        return Some("this is a replica: connect to its primary to change something".to_owned());
    }
    if state.frozen.is_some() {
        let key = state.keymap.key(ActionId::Freeze).unwrap_or_else(|| ActionId::Freeze.name().to_owned());
        return Some(format!("the screen is frozen; {key} shows again what is there now"));
    }
    state.is_stale().then(|| format!("what is shown is {} s old; wait for fresh data", state.age().as_secs()))
}

/// Things an action needs that are not there now.
fn missing_object(id: ActionId, state: &State) -> Option<String> {
    let because = |missing: bool, reason: &str| missing.then(|| reason.to_owned());
    let screen = state.navigation.current();
    match id {
        ActionId::Why => because(target::queue(state).is_none(), "no queue or job is selected"),
        ActionId::External => because(
            state.job.as_ref().is_none_or(|job| !matches!(job.loaded.data, Some(Some(_)))),
            "the job is not loaded",
        ),
        ActionId::Problem => because(state.banner.is_none(), "there is no problem"),
        ActionId::Follow => because(
            matches!(screen, Screen::Queue(_)) && target::job(state).is_none(),
            "no job is selected that could be followed",
        ),
        ActionId::PayloadMode => because(
            state.job.as_ref().is_none_or(|job| !matches!(job.tab, JobTab::Data | JobTab::Options | JobTab::Result)),
            "only data, options and result have several views",
        ),
        ActionId::Fold | ActionId::Unfold => because(
            matches!(screen, Screen::Queues) && !state.queues.tree,
            "queues are not grouped; the tree key does that",
        ),
        ActionId::QueueMenu => because(target::queue(state).is_none(), "no queue is selected"),
        ActionId::Export => because(selection::jobs(state).jobs.is_empty(), "no job is selected"),
        ActionId::Continue => because(state.changes.interrupted.is_empty(), "no change was interrupted"),
        ActionId::Unlock => match &state.server.read_only {
            None => Some("this server is not read-only".to_owned()),
            Some(reason) => (!state.server.unlockable).then(|| reason.clone()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::app::actions::{ACTIONS, Scope};
    use crate::app::message::Clock;
    use crate::app::settings::Settings;
    use crate::app::state::ServerView;
    use crate::domain::caps::Caps;
    use crate::domain::ids::{InstanceId, QueueId};
    use crate::domain::queue::QueueSample;
    use crate::domain::snapshot::InstanceSample;
    use crate::domain::time::Timestamp;

    fn state(caps: Caps) -> State {
        let clock = Clock { mono: Instant::now(), wall: Timestamp(0) };
        let mut state = State::new(ServerView::default(), Settings::default(), jiff::tz::TimeZone::UTC, clock);
        let snapshot = Arc::make_mut(&mut state.snapshot);
        snapshot.seq = 1;
        snapshot.instances.push(InstanceSample {
            id: InstanceId { system: "list", name: "".into() },
            states: &[],
            caps,
            caps_reason: Some("a plain list keeps no log".to_owned()),
            queues: vec![QueueSample::unknown(QueueId::new("list", "", "jobs"), &[])],
            error: None,
        });
        state
    }

    fn spec(needs: Caps, danger: Danger) -> ActionSpec {
        ActionSpec {
            id: ActionId::Refresh,
            title: "for this test",
            scope: Scope::Queues,
            keys: &[],
            needs,
            danger,
            footer: None,
            cli: None,
        }
    }

    #[test]
    fn an_action_of_another_screen_is_hidden() {
        let mut state = state(Caps::all());
        state.navigation.jump(Screen::Server);
        assert_eq!(availability(&spec(Caps::empty(), Danger::Safe), &state), Availability::Hidden);
    }

    #[test]
    fn what_the_system_cannot_do_is_disabled_with_its_reason() {
        let spec = spec(Caps::LOGS, Danger::Safe);
        let disabled = Availability::Disabled("a plain list keeps no log".to_owned());
        assert_eq!(availability(&spec, &state(Caps::LIST)), disabled);
        assert_eq!(availability(&spec, &state(Caps::LIST | Caps::LOGS)), Availability::Ready);
    }

    #[test]
    fn s1_what_changes_a_queue_is_disabled_where_qtop_may_only_read() {
        let mut state = state(Caps::all());
        for danger in [Danger::Changes, Danger::Destroys] {
            state.server.read_only = None;
            assert_eq!(availability(&spec(Caps::empty(), danger), &state), Availability::Ready);
            state.server.read_only = Some("prod is read-only".to_owned());
            let disabled = Availability::Disabled("prod is read-only".to_owned());
            assert_eq!(availability(&spec(Caps::empty(), danger), &state), disabled);
        }
    }

    #[test]
    fn u17_what_changes_a_queue_needs_fresh_data() {
        let mut state = state(Caps::all());
        state.clock.mono += Duration::from_secs(12);
        let answer = availability(&spec(Caps::empty(), Danger::Changes), &state);
        assert_eq!(answer, Availability::Disabled("what is shown is 12 s old; wait for fresh data".to_owned()));
        assert_eq!(availability(&spec(Caps::empty(), Danger::Safe), &state), Availability::Ready);
    }

    #[test]
    fn every_action_has_an_answer_on_every_screen() {
        let mut state = state(Caps::all());
        for screen in Screen::TABS {
            state.navigation.jump(screen);
            for spec in ACTIONS {
                let _ = availability(spec, &state);
            }
        }
    }
}
