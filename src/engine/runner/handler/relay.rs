//! Handing on what a job says, without letting a slow reader stop it.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;

use super::super::work::{Event, Stream};
use crate::domain::job::Progress;

/// How long a job may be held up by a reader that does not read. It is held up once; after that lines are dropped until
/// there is room again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Most lines of the job's own log that one attempt may write: they are stored in Redis.
const MOST_LOGS: u32 = 1000;

/// Hands on events of one attempt.
pub(super) struct Relay {
    events: Sender<Event>,
    patient: bool,
    dropped: u64,
    logs: u32,
    /// The newest progress that found no room.
    waiting: Option<Progress>,
}

impl Relay {
    pub(super) fn new(events: Sender<Event>) -> Self {
        Self { events, patient: true, dropped: 0, logs: 0, waiting: None }
    }

    /// Progress: only the newest counts, so it never waits.
    pub(super) fn progress(&mut self, progress: Progress) {
        self.waiting = match self.events.try_send(Event::Progress(progress)) {
            Err(TrySendError::Full(Event::Progress(progress))) => Some(progress),
            _ => None,
        };
    }

    /// A line for the job's own log.
    pub(super) async fn log(&mut self, line: String) {
        self.logs = self.logs.saturating_add(1);
        match self.logs {
            ..=MOST_LOGS => self.send(Event::Log(line)).await,
            count if count == MOST_LOGS + 1 => {
                self.send(Event::Log(format!("… no more than {MOST_LOGS} lines are kept of one attempt"))).await;
            }
            _ => {}
        }
    }

    /// A line of output.
    pub(super) async fn output(&mut self, stream: Stream, line: String) {
        if self.dropped > 0 {
            let note = format!("… {} lines were dropped: nobody read them in time", self.dropped);
            if self.events.try_send(Event::Output { stream, line: note }).is_ok() {
                self.dropped = 0;
                self.patient = true;
            }
        }
        self.send(Event::Output { stream, line }).await;
    }

    /// Hands on what still waits.
    pub(super) async fn flush(&mut self) {
        if let Some(progress) = self.waiting.take() {
            self.send(Event::Progress(progress)).await;
        }
    }

    async fn send(&mut self, event: Event) {
        if let Some(progress) = self.waiting.take() {
            self.progress(progress);
        }
        let gone = match self.patient {
            true => match timeout(PATIENCE, self.events.send(event)).await {
                Ok(sent) => sent.is_err(),
                Err(_) => {
                    self.patient = false;
                    true
                }
            },
            false => self.events.try_send(event).is_err(),
        };
        self.dropped += u64::from(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_does_not_read_holds_a_job_up_once() {
        let (events, mut reader) = tokio::sync::mpsc::channel(2);
        let mut relay = Relay::new(events);
        let start = std::time::Instant::now();
        for index in 0..10_000 {
            relay.output(Stream::Out, index.to_string()).await;
        }
        relay.progress(Progress { percent: Some(1.0), ..Progress::default() });
        relay.progress(Progress { percent: Some(2.0), ..Progress::default() });
        assert!((PATIENCE..PATIENCE * 3).contains(&start.elapsed()), "{:?}", start.elapsed());
        reader.recv().await;
        reader.recv().await;
        relay.output(Stream::Out, "next".into()).await;
        let Some(Event::Output { line, .. }) = reader.recv().await else { panic!("a line") };
        assert_eq!(line, "… 9998 lines were dropped: nobody read them in time");
        let Some(Event::Progress(progress)) = reader.recv().await else { panic!("progress") };
        assert_eq!(progress.percent, Some(2.0));
    }

    #[tokio::test]
    async fn the_log_of_one_attempt_is_bounded() {
        let (events, mut reader) = tokio::sync::mpsc::channel(2000);
        let mut relay = Relay::new(events);
        for _ in 0..5000 {
            relay.log("x".into()).await;
        }
        let mut count = 0;
        while reader.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, MOST_LOGS + 1);
    }
}
