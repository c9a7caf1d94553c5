//! Starting tasks and starting them again: a task that panics is logged, reported and restarted with back-off.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// First and longest wait before a restart.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// A task that ran this long was healthy; its next failure starts with the short wait again.
const HEALTHY: Duration = Duration::from_secs(60);

/// A task ended that should not have; it is started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnded {
    /// Which.
    pub task: String,
    /// Why, in words.
    pub error: String,
}

/// Keeps a task running until cancelled. `make` is called for each start.
pub fn keep<F>(
    name: &'static str,
    cancel: CancellationToken,
    ended: mpsc::Sender<TaskEnded>,
    mut make: impl FnMut(CancellationToken) -> F + Send + 'static,
) -> tokio::task::JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        let mut wait = BACK_OFF.0;
        loop {
            let started = Instant::now();
            let result = tokio::spawn(make(cancel.clone())).await;
            if cancel.is_cancelled() {
                return;
            }
            let error = match result {
                Ok(()) => "it ended by itself".to_owned(),
                // The panic's own text may quote what came from Redis; it is in the log, made harmless there.
                Err(error) if error.is_panic() => "it panicked; see the log".to_owned(),
                Err(error) => error.to_string(),
            };
            tracing::error!(task = name, %error, "a task ended and is started again");
            // A full channel means that many ends were reported already.
            drop(ended.try_send(TaskEnded { task: name.to_owned(), error }));
            if started.elapsed() > HEALTHY {
                wait = BACK_OFF.0;
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(BACK_OFF.1);
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_reported_and_started_again() {
        let starts = Arc::new(AtomicU32::new(0));
        let (send, mut ended) = mpsc::channel(4);
        let cancel = CancellationToken::new();
        let counted = Arc::clone(&starts);
        let task = keep("breaker", cancel.clone(), send, move |cancel| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                assert!(!first, "on purpose");
                cancel.cancelled().await;
            }
        });
        let report = tokio::time::timeout(Duration::from_secs(5), ended.recv()).await.expect("a report").unwrap();
        assert_eq!(report.task, "breaker");
        let restarted = async {
            while starts.load(Ordering::SeqCst) < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), restarted).await.expect("a second start");
        cancel.cancel();
        tokio::time::timeout(Duration::from_secs(5), task).await.expect("an end when cancelled").unwrap();
    }
}
