//! The names of actions.

use super::{ACTIONS, ActionSpec};

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
    /// Follow the job from state to state, or the end of log lines.
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
    /// Let workers take no further job.
    #[strum(serialize = "workers.pause")]
    WorkersPause,
    /// Let paused workers take jobs again.
    #[strum(serialize = "workers.continue")]
    WorkersContinue,
    /// End workers after their present job; whoever keeps them starts them anew.
    #[strum(serialize = "workers.restart")]
    WorkersRestart,
    /// End workers after their present job.
    #[strum(serialize = "workers.terminate")]
    WorkersTerminate,
    /// One slot more for the pool of the runner.
    #[strum(serialize = "runner.more")]
    RunnerMore,
    /// One slot fewer for the pool of the runner.
    #[strum(serialize = "runner.fewer")]
    RunnerFewer,
    /// The runner takes no more jobs, and ends with the last.
    #[strum(serialize = "runner.drain")]
    RunnerDrain,
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
    /// Queue failed, completed or dead jobs again.
    #[strum(serialize = "job.retry")]
    JobRetry,
    /// Retry everything that matches what is shown.
    #[strum(serialize = "jobs.retry_all")]
    JobsRetryAll,
    /// Call jobs off.
    #[strum(serialize = "job.cancel")]
    JobCancel,
    /// Move jobs to the dead letters.
    #[strum(serialize = "job.kill")]
    JobKill,
    /// Delete jobs, with a copy in the local trash.
    #[strum(serialize = "job.remove")]
    JobRemove,
    /// Run later jobs now.
    #[strum(serialize = "job.promote")]
    JobPromote,
    /// Give later jobs another time.
    #[strum(serialize = "job.delay")]
    JobDelay,
    /// Give waiting jobs another priority.
    #[strum(serialize = "job.priority")]
    JobPriority,
    /// Edit a job's payload, then retry it.
    #[strum(serialize = "job.edit")]
    JobEdit,
    /// Add the same jobs once more.
    #[strum(serialize = "job.duplicate")]
    JobDuplicate,
    /// Take dead letters back to the front of their queue.
    #[strum(serialize = "job.requeue_next")]
    JobRequeueNext,
    /// Give delivered entries to another consumer.
    #[strum(serialize = "job.claim")]
    JobClaim,
    /// Settle delivered entries without running them.
    #[strum(serialize = "job.ack")]
    JobAck,
    /// Run a copy of a job in the runner of this qtop.
    #[strum(serialize = "job.run_here")]
    JobRunHere,
    /// Pause or resume the queue.
    #[strum(serialize = "queue.pause")]
    QueuePause,
    /// Everything that changes a whole queue.
    #[strum(serialize = "queue.menu")]
    QueueMenu,
    /// Add a job.
    #[strum(serialize = "queue.add")]
    QueueAdd,
    /// Retry all failed and dead jobs of the queue.
    #[strum(serialize = "queue.retry_all")]
    QueueRetryAll,
    /// Run all later jobs of the queue now.
    #[strum(serialize = "queue.promote_all")]
    QueuePromoteAll,
    /// Set the queue's global limits.
    #[strum(serialize = "queue.limit")]
    QueueLimit,
    /// Cut what a stream keeps.
    #[strum(serialize = "queue.trim")]
    QueueTrim,
    /// Delete jobs of one state by age.
    #[strum(serialize = "queue.clean")]
    QueueClean,
    /// Delete all that waits in the queue.
    #[strum(serialize = "queue.drain")]
    QueueDrain,
    /// Delete the queue with everything in it.
    #[strum(serialize = "queue.obliterate")]
    QueueObliterate,
    /// Run a schedule once, now.
    #[strum(serialize = "schedule.trigger")]
    ScheduleTrigger,
    /// Remove schedules.
    #[strum(serialize = "schedule.remove")]
    ScheduleRemove,
    /// Export what is marked or matches as JSON lines.
    #[strum(serialize = "list.export")]
    Export,
    /// Undo the last removal.
    #[strum(serialize = "app.undo")]
    Undo,
    /// Changes under way and done.
    #[strum(serialize = "app.changes")]
    Changes,
    /// Go on with an interrupted change.
    #[strum(serialize = "app.continue")]
    Continue,
    /// What can be undone.
    #[strum(serialize = "app.trash")]
    Trash,
    /// What was changed, when, by whom.
    #[strum(serialize = "app.audit")]
    Audit,
    /// Allow changes of a production server for some minutes; again: lock it.
    #[strum(serialize = "server.unlock")]
    Unlock,
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
