//! The meanings a widget may ask for.

use strum::{EnumCount, EnumIter, EnumString, IntoStaticStr};

use crate::domain::state::StateKind;

/// What a piece of the screen means. Widgets name a role, never a colour.
///
/// The name of a role is what theme files use. A dotted role that a theme does not set takes the style of its group
/// (`state.waiting` that of `state`), and a group or plain role that is not set looks like `text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, EnumCount, EnumString, IntoStaticStr)]
pub enum Role {
    /// Base of the whole screen: the only role that paints the background. Fill each frame with it first.
    #[strum(serialize = "screen")]
    Screen,
    /// Ordinary text.
    #[strum(serialize = "text")]
    Text,
    /// Less important text: units, hints, zeros.
    #[strum(serialize = "muted")]
    Muted,
    /// What the eye should find first: the active tab, the cursor's mark.
    #[strum(serialize = "accent")]
    Accent,
    /// Rules and frames.
    #[strum(serialize = "border")]
    Border,
    /// The band of the selected row; patched over the row's own styles.
    #[strum(serialize = "selection")]
    Selection,
    /// Rows marked for a bulk action; patched over the row's own styles.
    #[strum(serialize = "mark")]
    Mark,
    /// Column heads and titles of panes.
    #[strum(serialize = "title")]
    Title,
    /// A key in a hint.
    #[strum(serialize = "key")]
    Key,
    /// Text that matches a filter or a search; patched over.
    #[strum(serialize = "match")]
    Match,
    /// As it should be.
    #[strum(serialize = "ok")]
    Ok,
    /// Look at it.
    #[strum(serialize = "warn")]
    Warn,
    /// Act now.
    #[strum(serialize = "error")]
    Error,
    /// A neutral notice.
    #[strum(serialize = "info")]
    Info,
    /// Data that is older than it should be; patched over.
    #[strum(serialize = "stale")]
    Stale,
    /// The name of a production environment.
    #[strum(serialize = "prod")]
    Prod,
    /// Jobs that wait.
    #[strum(serialize = "state.waiting")]
    StateWaiting,
    /// Jobs that run.
    #[strum(serialize = "state.active")]
    StateActive,
    /// Jobs of a known later time.
    #[strum(serialize = "state.scheduled")]
    StateScheduled,
    /// Jobs that failed and will run again by themselves.
    #[strum(serialize = "state.retrying")]
    StateRetrying,
    /// Jobs that wait for other jobs.
    #[strum(serialize = "state.blocked")]
    StateBlocked,
    /// Jobs that ended well.
    #[strum(serialize = "state.completed")]
    StateCompleted,
    /// Jobs that ended badly.
    #[strum(serialize = "state.failed")]
    StateFailed,
    /// Jobs in a dead-letter place.
    #[strum(serialize = "state.dead")]
    StateDead,
    /// Jobs called off.
    #[strum(serialize = "state.cancelled")]
    StateCancelled,
    /// Any other state.
    #[strum(serialize = "state.other")]
    StateOther,
    /// Jobs added per second.
    #[strum(serialize = "chart.in")]
    ChartIn,
    /// Jobs finished per second.
    #[strum(serialize = "chart.out")]
    ChartOut,
    /// Jobs failed per second.
    #[strum(serialize = "chart.failed")]
    ChartFailed,
    /// Jobs not yet done.
    #[strum(serialize = "chart.backlog")]
    ChartBacklog,
    /// Names inside a payload.
    #[strum(serialize = "json.key")]
    JsonKey,
    /// Text inside a payload.
    #[strum(serialize = "json.string")]
    JsonString,
    /// Numbers inside a payload.
    #[strum(serialize = "json.number")]
    JsonNumber,
    /// `true` and `false` inside a payload.
    #[strum(serialize = "json.bool")]
    JsonBool,
    /// `null` inside a payload.
    #[strum(serialize = "json.null")]
    JsonNull,
    /// Brackets, commas, sizes and fold marks of a payload.
    #[strum(serialize = "json.punctuation")]
    JsonPunctuation,
    /// The part of a progress bar that is done.
    #[strum(serialize = "progress.done")]
    ProgressDone,
    /// The part that is still to do.
    #[strum(serialize = "progress.rest")]
    ProgressRest,
    /// The done part of a bar that has not moved for long.
    #[strum(serialize = "progress.stuck")]
    ProgressStuck,
}

/// Groups that a theme may set for all their members at once.
pub(super) const GROUPS: [&str; 4] = ["state", "chart", "json", "progress"];

impl Role {
    /// The name used in theme files, for example `state.waiting`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The role of jobs in a state of this kind.
    pub fn of_state(kind: StateKind) -> Self {
        match kind {
            StateKind::Waiting => Self::StateWaiting,
            StateKind::Active => Self::StateActive,
            StateKind::Scheduled => Self::StateScheduled,
            StateKind::Retrying => Self::StateRetrying,
            StateKind::Blocked => Self::StateBlocked,
            StateKind::Completed => Self::StateCompleted,
            StateKind::Failed => Self::StateFailed,
            StateKind::Dead => Self::StateDead,
            StateKind::Cancelled => Self::StateCancelled,
            StateKind::Other => Self::StateOther,
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn every_state_kind_has_the_role_of_its_name() {
        for kind in StateKind::iter() {
            assert_eq!(Role::of_state(kind).name(), format!("state.{}", kind.word()));
        }
    }

    #[test]
    fn every_dotted_role_belongs_to_a_group() {
        for role in Role::iter() {
            if let Some((group, _)) = role.name().split_once('.') {
                assert!(GROUPS.contains(&group), "{group}");
            }
        }
    }
}
