//! Everything a person can do, declared once. Keys, help, footer, palette and the configuration's `[keys]` come from
//! [`ACTIONS`]; `update` matches [`ActionId`] exhaustively.
//!
//! A key means one thing on every screen. Lower case never changes a queue.

use super::screen::Screen;
use crate::domain::caps::Caps;

/// An action. [`ActionId::name`] is its name in the configuration.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, strum::EnumIter, strum::EnumString, strum::IntoStaticStr,
)]
pub enum ActionId {
    /// All queues.
    #[strum(serialize = "screen.queues")]
    ScreenQueues,
    /// All running jobs.
    #[strum(serialize = "screen.running")]
    ScreenRunning,
    /// Failures of all queues, grouped.
    #[strum(serialize = "screen.failures")]
    ScreenFailures,
    /// All workers.
    #[strum(serialize = "screen.workers")]
    ScreenWorkers,
    /// Delayed and repeatable jobs.
    #[strum(serialize = "screen.scheduled")]
    ScreenScheduled,
    /// The embedded runner.
    #[strum(serialize = "screen.runner")]
    ScreenRunner,
    /// The Redis server and what qtop costs it.
    #[strum(serialize = "screen.server")]
    ScreenServer,
    /// qtop's own log.
    #[strum(serialize = "screen.logs")]
    ScreenLogs,
    /// Open what is under the cursor; fold a group.
    #[strum(serialize = "list.open")]
    Open,
    /// Back; first clears filter, then marks.
    #[strum(serialize = "view.back")]
    Back,
    /// Back to the last view.
    #[strum(serialize = "view.previous")]
    Previous,
    /// Next state or part.
    #[strum(serialize = "tab.next")]
    NextTab,
    /// Previous state or part.
    #[strum(serialize = "tab.previous")]
    PreviousTab,
    /// Go to anything by name.
    #[strum(serialize = "app.palette")]
    Palette,
    /// One line down.
    #[strum(serialize = "move.down")]
    Down,
    /// One line up.
    #[strum(serialize = "move.up")]
    Up,
    /// One page down.
    #[strum(serialize = "move.page_down")]
    PageDown,
    /// One page up.
    #[strum(serialize = "move.page_up")]
    PageUp,
    /// Half a page down.
    #[strum(serialize = "move.half_down")]
    HalfDown,
    /// Half a page up.
    #[strum(serialize = "move.half_up")]
    HalfUp,
    /// To the first line.
    #[strum(serialize = "move.top")]
    Top,
    /// To the last line.
    #[strum(serialize = "move.bottom")]
    Bottom,
    /// Fold the group or value.
    #[strum(serialize = "tree.fold")]
    Fold,
    /// Unfold the group or value.
    #[strum(serialize = "tree.unfold")]
    Unfold,
    /// Filter what is shown; again: search on the server.
    #[strum(serialize = "list.filter")]
    Filter,
    /// Next match.
    #[strum(serialize = "list.next_match")]
    NextMatch,
    /// Previous match.
    #[strum(serialize = "list.previous_match")]
    PreviousMatch,
    /// Sort by the column to the left.
    #[strum(serialize = "sort.left")]
    SortLeft,
    /// Sort by the column to the right.
    #[strum(serialize = "sort.right")]
    SortRight,
    /// Reverse the order.
    #[strum(serialize = "sort.reverse")]
    SortReverse,
    /// Mark or unmark.
    #[strum(serialize = "mark.toggle")]
    Mark,
    /// Mark from here to where the cursor goes.
    #[strum(serialize = "mark.range")]
    MarkRange,
    /// Mark everything that matches the filter.
    #[strum(serialize = "mark.all")]
    MarkAll,
    /// Clear the marks.
    #[strum(serialize = "mark.clear")]
    MarkClear,
    /// Only queues with failed jobs.
    #[strum(serialize = "queues.only_failures")]
    OnlyFailures,
    /// Group queues by the delimiter in their names.
    #[strum(serialize = "queues.tree")]
    Tree,
    /// Why does it not move?.
    #[strum(serialize = "queue.why")]
    Why,
    /// Follow the end of the log lines.
    #[strum(serialize = "view.follow")]
    Follow,
    /// Payload as tree, as stored, as bytes.
    #[strum(serialize = "job.payload_mode")]
    PayloadMode,
    /// Read more of a cut payload, go on with a paused search.
    #[strum(serialize = "view.more")]
    More,
    /// Search in payloads too.
    #[strum(serialize = "queue.search_deep")]
    SearchDeep,
    /// Ask the server for its client list in spite of the cost.
    #[strum(serialize = "workers.confirm")]
    WorkersConfirm,
    /// Freeze the screen.
    #[strum(serialize = "view.freeze")]
    Freeze,
    /// Refresh more often.
    #[strum(serialize = "refresh.faster")]
    Faster,
    /// Refresh less often.
    #[strum(serialize = "refresh.slower")]
    Slower,
    /// Refresh now.
    #[strum(serialize = "refresh.now")]
    Refresh,
    /// Draw the screen anew.
    #[strum(serialize = "view.repaint")]
    Repaint,
    /// Times relative, local, UTC.
    #[strum(serialize = "view.time")]
    TimeStyle,
    /// Details right, at the bottom, off.
    #[strum(serialize = "view.details")]
    Details,
    /// Copy the value.
    #[strum(serialize = "copy.value")]
    CopyValue,
    /// Copy the command that prints the same.
    #[strum(serialize = "copy.command")]
    CopyCommand,
    /// Open in $PAGER or $EDITOR.
    #[strum(serialize = "view.external")]
    External,
    /// Everything that can be done here.
    #[strum(serialize = "app.menu")]
    Menu,
    /// What qtop costs this server, and connection details.
    #[strum(serialize = "app.cost")]
    Cost,
    /// The problem in the banner with all its details.
    #[strum(serialize = "app.problem")]
    Problem,
    /// Mouse on or off.
    #[strum(serialize = "view.mouse")]
    Mouse,
    /// Help.
    #[strum(serialize = "app.help")]
    Help,
    /// Back; at the top level: quit.
    #[strum(serialize = "app.quit")]
    Quit,
    /// Quit at once.
    #[strum(serialize = "app.quit_now")]
    QuitNow,
    /// Stop like a shell job.
    #[strum(serialize = "app.suspend")]
    Suspend,
}

impl ActionId {
    /// Its name in the configuration, for example `list.open`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Its declaration.
    pub fn spec(self) -> &'static ActionSpec {
        ACTIONS.iter().find(|spec| spec.id == self).expect("a test holds that every action is declared")
    }
}

/// Where an action makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumIter)]
pub enum Scope {
    /// Everywhere.
    Global,
    /// Screens with a cursor or a text to search in.
    Lines,
    /// Screens with a table of rows.
    Table,
    /// Screens with something that folds.
    Tree,
    /// Screens on which a queue or job is selected.
    Target,
    /// Screens with lines that are appended.
    Tail,
    /// The Queues screen.
    Queues,
    /// The Queue screen.
    Queue,
    /// The Job screen.
    Job,
    /// The Workers screen.
    Workers,
}

impl Scope {
    /// True if the scope takes in a screen.
    pub fn covers(self, screen: &Screen) -> bool {
        use Screen as S;
        match self {
            Self::Global => true,
            Self::Lines => !matches!(screen, S::Server | S::Runner),
            Self::Table => {
                matches!(screen, S::Queues | S::Running | S::Failures | S::Workers | S::Scheduled | S::Queue(_))
            }
            Self::Tree => matches!(screen, S::Queues | S::Job(_)),
            Self::Target => {
                matches!(screen, S::Queues | S::Running | S::Failures | S::Scheduled | S::Queue(_) | S::Job(_))
            }
            Self::Tail => matches!(screen, S::Job(_) | S::Logs),
            Self::Queues => matches!(screen, S::Queues),
            Self::Queue => matches!(screen, S::Queue(_)),
            Self::Job => matches!(screen, S::Job(_)),
            Self::Workers => matches!(screen, S::Workers),
        }
    }

    /// Heading in the help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::Lines => "Lists and texts",
            Self::Table => "Tables",
            Self::Tree => "Trees",
            Self::Target => "Queues and jobs",
            Self::Tail => "Log lines",
            Self::Queues => "Queues",
            Self::Queue => "Queue",
            Self::Job => "Job",
            Self::Workers => "Workers",
        }
    }
}

/// What an action can do to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Danger {
    /// It only reads.
    Safe,
    /// It changes something and asks once.
    Changes,
    /// It takes something away for good and asks for the queue's name.
    Destroys,
}

/// The declaration of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionSpec {
    /// Which action.
    pub id: ActionId,
    /// For help, palette and menu.
    pub title: &'static str,
    /// Where it makes sense.
    pub scope: Scope,
    /// Default keys; several keys in one text are pressed one after the other.
    pub keys: &'static [&'static str],
    /// What the target must be able to do.
    pub needs: Caps,
    /// What it can do to a queue.
    pub danger: Danger,
    /// Place among the footer's hints, lowest first, and the word shown there.
    pub footer: Option<(u8, &'static str)>,
    /// The command that prints the same facts without a screen.
    pub cli: Option<&'static str>,
}

const fn reads(id: ActionId, title: &'static str, scope: Scope, keys: &'static [&'static str]) -> ActionSpec {
    ActionSpec { id, title, scope, keys, needs: Caps::empty(), danger: Danger::Safe, footer: None, cli: None }
}

impl ActionSpec {
    const fn hint(self, place: u8, word: &'static str) -> Self {
        Self { footer: Some((place, word)), ..self }
    }

    const fn needs(self, needs: Caps) -> Self {
        Self { needs, ..self }
    }

    const fn cli(self, command: &'static str) -> Self {
        Self { cli: Some(command), ..self }
    }
}

/// All actions, in the order of help and palette.
pub const ACTIONS: &[ActionSpec] = &[
    reads(ActionId::ScreenQueues, "All queues", Scope::Global, &["1"]).cli("qtop queues"),
    reads(ActionId::ScreenRunning, "All running jobs", Scope::Global, &["2"]),
    reads(ActionId::ScreenFailures, "Failures of all queues, grouped", Scope::Global, &["3", "!"])
        .hint(60, "failures")
        .cli("qtop failures"),
    reads(ActionId::ScreenWorkers, "All workers", Scope::Global, &["4"]).cli("qtop workers"),
    reads(ActionId::ScreenScheduled, "Delayed and repeatable jobs", Scope::Global, &["5"]),
    reads(ActionId::ScreenRunner, "The embedded runner", Scope::Global, &["6"]),
    reads(ActionId::ScreenServer, "The Redis server and what qtop costs it", Scope::Global, &["7"]),
    reads(ActionId::ScreenLogs, "qtop's own log", Scope::Global, &["8"]),
    reads(ActionId::Open, "Open what is under the cursor; fold a group", Scope::Lines, &["enter", "d"])
        .hint(10, "open"),
    reads(ActionId::Back, "Back; first clears filter, then marks", Scope::Global, &["esc", "backspace"]),
    reads(ActionId::Previous, "Back to the last view", Scope::Global, &["-"]),
    reads(ActionId::NextTab, "Next state or part", Scope::Global, &["tab"]).hint(20, "next tab"),
    reads(ActionId::PreviousTab, "Previous state or part", Scope::Global, &["shift-tab"]),
    reads(ActionId::Palette, "Go to anything by name", Scope::Global, &[":", "ctrl-p"]).hint(70, "go to"),
    reads(ActionId::Down, "One line down", Scope::Global, &["down", "j"]),
    reads(ActionId::Up, "One line up", Scope::Global, &["up", "k"]),
    reads(ActionId::PageDown, "One page down", Scope::Global, &["pagedown"]),
    reads(ActionId::PageUp, "One page up", Scope::Global, &["pageup"]),
    reads(ActionId::HalfDown, "Half a page down", Scope::Global, &["ctrl-d"]),
    reads(ActionId::HalfUp, "Half a page up", Scope::Global, &["ctrl-u"]),
    reads(ActionId::Top, "To the first line", Scope::Global, &["g g", "home"]),
    reads(ActionId::Bottom, "To the last line", Scope::Global, &["G", "end"]),
    reads(ActionId::Fold, "Fold the group or value", Scope::Tree, &["left", "h"]),
    reads(ActionId::Unfold, "Unfold the group or value", Scope::Tree, &["right", "l"]),
    reads(ActionId::Filter, "Filter what is shown; again: search on the server", Scope::Lines, &["/", "f3", "f4"])
        .hint(30, "filter"),
    reads(ActionId::NextMatch, "Next match", Scope::Lines, &["n"]),
    reads(ActionId::PreviousMatch, "Previous match", Scope::Lines, &["N"]),
    reads(ActionId::SortLeft, "Sort by the column to the left", Scope::Table, &["<"]).hint(40, "sort"),
    reads(ActionId::SortRight, "Sort by the column to the right", Scope::Table, &[">", "f6"]),
    reads(ActionId::SortReverse, "Reverse the order", Scope::Table, &["|"]),
    reads(ActionId::Mark, "Mark or unmark", Scope::Table, &["space"]),
    reads(ActionId::MarkRange, "Mark from here to where the cursor goes", Scope::Table, &["v"]),
    reads(ActionId::MarkAll, "Mark everything that matches the filter", Scope::Table, &["*"]),
    reads(ActionId::MarkClear, "Clear the marks", Scope::Table, &["\\"]),
    reads(ActionId::OnlyFailures, "Only queues with failed jobs", Scope::Queues, &["u"]).hint(45, "failed only"),
    reads(ActionId::Tree, "Group queues by the delimiter in their names", Scope::Queues, &["b", "f5"]).hint(46, "tree"),
    reads(ActionId::Why, "Why does it not move?", Scope::Target, &["w"]).hint(50, "why"),
    reads(ActionId::Follow, "Follow the end of the log lines", Scope::Tail, &["f"]).hint(25, "follow"),
    reads(ActionId::PayloadMode, "Payload as tree, as stored, as bytes", Scope::Job, &["m"]).hint(27, "raw/hex"),
    reads(ActionId::More, "Read more of a cut payload, go on with a paused search", Scope::Lines, &["."]),
    reads(ActionId::SearchDeep, "Search in payloads too", Scope::Queue, &["&"]).needs(Caps::LIST),
    reads(ActionId::WorkersConfirm, "Ask the server for its client list in spite of the cost", Scope::Workers, &["c"]),
    reads(ActionId::Freeze, "Freeze the screen", Scope::Global, &["Z"]),
    reads(ActionId::Faster, "Refresh more often", Scope::Global, &["+"]),
    reads(ActionId::Slower, "Refresh less often", Scope::Global, &["_"]),
    reads(ActionId::Refresh, "Refresh now", Scope::Global, &["ctrl-r"]),
    reads(ActionId::Repaint, "Draw the screen anew", Scope::Global, &["ctrl-l"]),
    reads(ActionId::TimeStyle, "Times relative, local, UTC", Scope::Global, &["t"]),
    reads(ActionId::Details, "Details right, at the bottom, off", Scope::Table, &["o"]),
    reads(ActionId::CopyValue, "Copy the value", Scope::Global, &["y"]),
    reads(ActionId::CopyCommand, "Copy the command that prints the same", Scope::Global, &["Y"])
        .hint(55, "copy command"),
    reads(ActionId::External, "Open in $PAGER or $EDITOR", Scope::Job, &["e"]).hint(35, "pager"),
    reads(ActionId::Menu, "Everything that can be done here", Scope::Global, &["a"]),
    reads(ActionId::Cost, "What qtop costs this server, and connection details", Scope::Global, &["i"]),
    reads(ActionId::Problem, "The problem in the banner with all its details", Scope::Global, &["ctrl-e"])
        .hint(5, "problem"),
    reads(ActionId::Mouse, "Mouse on or off", Scope::Global, &["M"]),
    reads(ActionId::Help, "Help", Scope::Global, &["?", "f1"]).hint(80, "help"),
    reads(ActionId::Quit, "Back; at the top level: quit", Scope::Global, &["q"]).hint(90, "quit"),
    reads(ActionId::QuitNow, "Quit at once", Scope::Global, &["ctrl-c", "f10"]),
    reads(ActionId::Suspend, "Stop like a shell job", Scope::Global, &["ctrl-z"]),
];

/// Names of all actions, for checking the configuration's `[keys]`.
pub fn action_names() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|spec| spec.id.name())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use strum::IntoEnumIterator;

    use super::*;
    use crate::app::chord::{Chord, parse_sequence};

    #[test]
    fn every_action_is_declared_once() {
        let declared: Vec<ActionId> = ACTIONS.iter().map(|spec| spec.id).collect();
        assert_eq!(declared, ActionId::iter().collect::<Vec<_>>());
        let names: BTreeSet<_> = action_names().collect();
        assert_eq!(names.len(), ACTIONS.len());
        assert!(names.iter().all(|name| name.parse::<ActionId>().is_ok_and(|id| id.name() == *name)));
    }

    #[test]
    fn s13_one_key_has_one_meaning() {
        let mut seen: Vec<(Vec<Chord>, ActionId)> = Vec::new();
        for spec in ACTIONS {
            for keys in spec.keys {
                let keys = parse_sequence(keys).unwrap();
                for (other, id) in &seen {
                    let both = keys.len().min(other.len());
                    assert!(keys[..both] != other[..both], "{:?} and {id:?} share a key", spec.id);
                }
                seen.push((keys, spec.id));
            }
        }
    }

    #[test]
    fn s13_no_control_or_lower_case_key_changes_a_queue() {
        for spec in ACTIONS.iter().filter(|spec| spec.danger != Danger::Safe) {
            for keys in spec.keys {
                let keys = parse_sequence(keys).unwrap();
                assert!(super::super::keymap::may_change(&keys), "{:?} on {keys:?}", spec.id);
            }
        }
    }

    #[test]
    fn each_scope_covers_some_screen() {
        for scope in Scope::iter() {
            assert!(ACTIONS.iter().any(|spec| spec.scope == scope), "{scope:?} has no action");
        }
    }
}
