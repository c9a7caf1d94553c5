//! The table of all actions.

use super::{ActionId, ActionSpec, Scope, changes, destroys, reads};
use crate::domain::caps::Caps;

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
    reads(ActionId::Follow, "Follow the job, or the end of log lines", Scope::Tail, &["f"]).hint(25, "follow"),
    reads(ActionId::PayloadMode, "Payload as tree, as stored, as bytes", Scope::Job, &["m"]).hint(27, "raw/hex"),
    reads(ActionId::More, "Read more of a cut payload, go on with a paused search", Scope::Lines, &["."]),
    reads(ActionId::SearchDeep, "Search in payloads too", Scope::Queue, &["&"]).needs(Caps::LIST),
    reads(ActionId::WorkersConfirm, "Ask the server for its client list in spite of the cost", Scope::Workers, &["c"]),
    changes(ActionId::WorkersPause, "Let workers take no further job", Scope::Workers, &["W p"])
        .hint(21, "pause")
        .cli("qtop signal pause"),
    changes(ActionId::WorkersContinue, "Let paused workers go on", Scope::Workers, &["W c"])
        .hint(22, "go on")
        .cli("qtop signal continue"),
    changes(ActionId::WorkersRestart, "End workers after their job, to be started anew", Scope::Workers, &["W r"])
        .cli("qtop signal restart"),
    destroys(ActionId::WorkersTerminate, "End workers after their job, for good", Scope::Workers, &["W T"])
        .hint(23, "end")
        .cli("qtop signal terminate"),
    reads(ActionId::RunnerMore, "One slot more for this pool", Scope::Runner, &[")"]).hint(41, "slots"),
    reads(ActionId::RunnerFewer, "One slot fewer for this pool", Scope::Runner, &["("]),
    reads(ActionId::RunnerDrain, "Drain the runner: take no more jobs, end with the last", Scope::Runner, &["Q"])
        .hint(42, "drain"),
    reads(ActionId::Freeze, "Freeze the screen", Scope::Global, &["Z"]),
    reads(ActionId::Faster, "Refresh more often", Scope::Global, &["+"]),
    reads(ActionId::Slower, "Refresh less often", Scope::Global, &["_"]),
    reads(ActionId::Refresh, "Refresh now", Scope::Global, &["ctrl-r"]),
    reads(ActionId::Repaint, "Draw the screen anew", Scope::Global, &["ctrl-l"]),
    reads(ActionId::TimeStyle, "Times relative, local, UTC", Scope::Global, &["t"]),
    reads(ActionId::Details, "Details right, at the bottom, off", Scope::Queues, &["o"]),
    reads(ActionId::CopyValue, "Copy the value", Scope::Global, &["y"]),
    reads(ActionId::CopyCommand, "Copy the command that prints the same", Scope::Global, &["Y"])
        .hint(55, "copy command"),
    reads(ActionId::External, "Open in $PAGER or $EDITOR", Scope::Job, &["e"]).hint(35, "pager"),
    changes(ActionId::JobRetry, "Retry jobs: failed, completed, dead", Scope::Jobs, &["r"])
        .hint(21, "retry")
        .cli("qtop retry"),
    changes(ActionId::JobsRetryAll, "Retry everything that matches what is shown", Scope::Target, &["R"])
        .hint(57, "retry all")
        .cli("qtop retry --all"),
    destroys(ActionId::JobCancel, "Cancel jobs", Scope::Jobs, &["C", "f9"]).hint(22, "cancel").cli("qtop cancel"),
    changes(ActionId::JobKill, "Move jobs to the dead letters now", Scope::Jobs, &["K"]).cli("qtop kill"),
    destroys(ActionId::JobRemove, "Delete jobs; a copy goes to the local trash", Scope::Jobs, &["D"])
        .hint(23, "delete")
        .cli("qtop remove"),
    changes(ActionId::JobPromote, "Run later jobs now", Scope::Jobs, &["P"]).hint(24, "run now").cli("qtop promote"),
    changes(ActionId::JobDelay, "Give later jobs another time", Scope::Jobs, &[]).cli("qtop delay"),
    changes(ActionId::JobPriority, "Give waiting jobs another priority", Scope::Jobs, &[]).cli("qtop prioritize"),
    changes(ActionId::JobEdit, "Edit the payload in $EDITOR, then retry", Scope::Jobs, &["E"]).cli("qtop edit"),
    changes(ActionId::JobDuplicate, "Add the same jobs once more", Scope::Jobs, &[]).cli("qtop duplicate"),
    changes(ActionId::JobRequeueNext, "Take dead letters back so that they run next", Scope::Jobs, &[])
        .cli("qtop requeue --next"),
    changes(ActionId::JobClaim, "Give delivered entries to another consumer", Scope::Jobs, &[]).cli("qtop claim"),
    destroys(ActionId::JobAck, "Settle delivered entries without running them", Scope::Jobs, &[]).cli("qtop ack"),
    changes(ActionId::JobRunHere, "Run a copy here; if it passes, put the job back", Scope::Jobs, &["L"]),
    changes(ActionId::QueuePause, "Pause or resume this queue", Scope::Target, &["p"])
        .hint(44, "pause")
        .cli("qtop pause"),
    reads(ActionId::QueueMenu, "Change this whole queue: drain, clean, limits and more", Scope::Target, &["X"]),
    changes(ActionId::QueueAdd, "Add a job", Scope::Target, &[]).cli("qtop add"),
    changes(ActionId::QueueRetryAll, "Retry all failed and dead jobs of this queue", Scope::Target, &[])
        .cli("qtop retry --all"),
    changes(ActionId::QueuePromoteAll, "Run all later jobs of this queue now", Scope::Target, &[])
        .cli("qtop promote --all"),
    changes(ActionId::QueueLimit, "Set this queue's concurrency and rate limit", Scope::Target, &[]).cli("qtop limit"),
    destroys(ActionId::QueueTrim, "Cut what this stream keeps", Scope::Target, &[]).cli("qtop trim"),
    destroys(ActionId::QueueClean, "Delete jobs of one state by age", Scope::Target, &[]).cli("qtop clean"),
    destroys(ActionId::QueueDrain, "Delete all that waits in this queue", Scope::Target, &[]).cli("qtop drain"),
    destroys(ActionId::QueueObliterate, "Delete this queue with everything in it", Scope::Target, &[])
        .cli("qtop obliterate"),
    changes(ActionId::ScheduleTrigger, "Run a schedule once, now", Scope::Schedules, &["T"])
        .hint(21, "trigger")
        .cli("qtop trigger"),
    destroys(ActionId::ScheduleRemove, "Remove schedules", Scope::Schedules, &[]).cli("qtop unschedule"),
    reads(ActionId::Export, "Export what is marked or matches as JSON lines", Scope::Jobs, &["x"]),
    changes(ActionId::Undo, "Undo the last removal", Scope::Global, &["z"]).cli("qtop undo"),
    reads(ActionId::Changes, "Changes under way and done", Scope::Global, &["s"]),
    changes(ActionId::Continue, "Go on with an interrupted change", Scope::Global, &[]).cli("qtop continue"),
    reads(ActionId::Trash, "What can be undone", Scope::Global, &[]).cli("qtop trash list"),
    reads(ActionId::Audit, "What was changed, when, by whom", Scope::Global, &[]).cli("qtop audit"),
    reads(ActionId::Unlock, "Allow changes here for ten minutes; again: lock", Scope::Global, &[]),
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
