//! Tells of what is wrong by hooks: watches snapshots, and runs a command or a delivery for each alarm. Off unless the
//! configuration has `[[alert]]` tables. A hook that hangs or fails holds up neither the screens nor the jobs (R13).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::runner::handler::{Handler, HandlerError, Surroundings};
use super::runner::work::{EVENTS, Ending, Room, Work};
use crate::config::{Alert, Input};
use crate::domain::alarm::{Alarm, Alarms};
use crate::domain::ids::{JobId, QueueId};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;

/// Hooks that run at once; the others wait for their turn.
const AT_ONCE: usize = 4;
/// After so long a hook that failed is tried again, if what it was to tell of lasts.
const RETRY: Duration = Duration::from_secs(10);
/// Failed hooks that may wait to be noted; what comes beyond is not tried again before its time.
const FAILED: usize = 64;

/// The hooks of a configuration, ready to be run.
#[derive(Debug)]
pub struct Alerts {
    alerts: Vec<Alert>,
    hooks: Vec<Arc<Handler>>,
}

impl Alerts {
    /// Finds programs and certificates; runs nothing.
    ///
    /// # Errors
    /// Says which hook cannot be run, and why.
    pub fn build(alerts: &[Alert]) -> Result<Self, (String, HandlerError)> {
        let surroundings = Surroundings::of_process().with_helper();
        let build = |alert: &Alert| {
            // The alert is the whole of what a hook is told: there is no job around it.
            let hook = crate::config::Handler { input: Input::Data, ..alert.hook.clone() };
            Handler::build(&hook, &surroundings).map(Arc::new).map_err(|error| (alert.name.clone(), error))
        };
        Ok(Self { hooks: alerts.iter().map(build).collect::<Result<_, _>>()?, alerts: alerts.to_vec() })
    }

    /// Watches until cancelled.
    pub async fn watch(self, mut snapshots: watch::Receiver<Arc<Snapshot>>, over: CancellationToken) {
        let mut alarms = Alarms::new(self.alerts.iter().map(Alert::rule).collect());
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let (failed, mut failures) = mpsc::channel(FAILED);
        loop {
            tokio::select! {
                () = over.cancelled() => return,
                changed = snapshots.changed() => if changed.is_err() { return },
                Some(alarm) = failures.recv() => {
                    alarms.unheard(&alarm, Instant::now() + RETRY);
                    continue;
                }
            }
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            for alarm in alarms.look(&snapshot, Instant::now()) {
                let (Some(alert), Some(hook)) = (self.alerts.get(alarm.rule), self.hooks.get(alarm.rule)) else {
                    continue;
                };
                let place = alarm.queue.as_deref().unwrap_or(&alarm.server);
                tracing::warn!(alert = alert.name, place, code = alarm.code, "{}", alarm.text);
                let (work, limit) = (work(&alert.name, &alarm), alert.timeout);
                let (hook, room, over) = (Arc::clone(hook), Arc::clone(&room), over.child_token());
                let (name, failed) = (alert.name.clone(), failed.clone());
                tokio::spawn(async move {
                    let Ok(_permit) = room.acquire_owned().await else { return };
                    let (events, mut said) = mpsc::channel(EVENTS);
                    let told = hook.handle(&work, Room::new(events, over, Some(limit)));
                    // What a hook writes is of interest to nobody here, but must be read.
                    let listen = async { while said.recv().await.is_some() {} };
                    let (ending, ()) = tokio::join!(told, listen);
                    let reason = match ending {
                        Ending::Failed(failure) | Ending::TimedOut(failure) | Ending::Retry { failure, .. } => {
                            failure.message
                        }
                        Ending::NotStarted { reason } => reason,
                        Ending::Done { .. } | Ending::Cancelled => return,
                    };
                    tracing::error!(alert = name, reason, "nobody was told");
                    drop(failed.try_send(alarm));
                });
            }
        }
    }
}

/// The alert as a hook sees it: its standard input or the body of its request.
fn work(name: &str, alarm: &Alarm) -> Work {
    let now = Timestamp(jiff::Timestamp::now().as_millisecond());
    let mut document = json!(alarm);
    if let Some(object) = document.as_object_mut() {
        object.insert("alert".to_owned(), json!(name));
        object.insert("at".to_owned(), json!(now.rfc3339()));
    }
    Work {
        queue: QueueId::new("", "", alarm.queue.as_deref().unwrap_or_default()),
        address: alarm.queue.clone().unwrap_or_default(),
        id: JobId::from(name),
        name: alarm.code.clone(),
        payload: Bytes::from(document.to_string()),
        attempt: 1,
        attempts: Some(1),
        created_at: Some(now),
        claimed_at: now,
    }
}
