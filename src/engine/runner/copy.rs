//! Runs one job of a pool's queue here, once, without taking it: for a person who wants to see what happens. It stays
//! where it is meanwhile, and is pushed back if it passes and the queue can do that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::pool::Pool;
use super::slot::wall;
use super::work::{EVENTS, Ending, Event, Room, Stream, Work};
use crate::domain::ids::{JobId, JobRef};
use crate::domain::job::Job;
use crate::domain::mutation::{Change, End, Mutation, Target, Verb};
use crate::domain::runner::{Ended, OutputKind, OutputLine, ResultView};
use crate::domain::text::first_line;
use crate::systems::SystemError;

/// Longest run of a copy where the pool has no timeout: nobody renews anything for it, so only the person waits.
const LIMIT: Duration = Duration::from_secs(3600);
/// Lines of output that are kept.
const LINES: usize = 200;
/// Characters of a result or error.
const MESSAGE: usize = 500;

impl Pool {
    /// Runs a copy and notes the result among the pool's own. Ends early when the pool does.
    pub async fn run_copy(self: Arc<Self>, id: JobId) {
        let started = Instant::now();
        let mut output = Vec::new();
        let (name, attempt, ended, message) = match self.try_copy(&id, &mut output).await {
            Ok(result) => result,
            Err(reason) => (String::new(), 1, Ended::Failed, format!("the copy was not run: {reason}")),
        };
        let view = ResultView {
            job: JobRef { queue: self.parts.seat.queue.clone(), id },
            name,
            attempt,
            ended,
            at: wall(),
            took: started.elapsed(),
            message: first_line(&message, MESSAGE),
            output: output.into(),
        };
        self.state().stats.copied(view);
    }

    async fn try_copy(&self, id: &JobId, output: &mut Vec<OutputLine>) -> Result<(String, u32, Ended, String), String> {
        let told = |error: SystemError| error.to_string();
        let link = self.parts.wire.control().await.map_err(|error| error.to_string())?;
        let queue = &self.parts.seat.queue;
        let most = self.parts.basis.max_payload;
        let job = self.parts.system.job(&link, queue, id, most).await.map_err(told)?;
        let job = job.ok_or("it is gone")?;
        if job.payload.is_cut() {
            return Err(format!("its data has {} bytes, more than max_payload", job.payload.total));
        }
        let name = job.row.name.clone().unwrap_or_default();
        let entry = self.parts.handlers.choose(&name).ok_or_else(|| format!("no handler takes jobs named {name:?}"))?;
        let consumer = self.parts.system.consumer().ok_or("jobs of this queue cannot be run here")?;
        let payload = consumer.handed(&job.payload.bytes)?;
        let made = job.row.attempts_made.and_then(|made| u32::try_from(made).ok()).unwrap_or(0);
        let work = Work {
            queue: queue.clone(),
            address: self.parts.address.clone(),
            id: id.clone(),
            name: name.clone(),
            payload,
            attempt: made + 1,
            attempts: job.row.attempts_max.and_then(|most| u32::try_from(most).ok()),
            created_at: job.row.created_at,
            claimed_at: wall(),
        };
        let (events, mut inbox) = mpsc::channel(EVENTS);
        let cancel: CancellationToken = self.ending.child_token();
        let room = Room::new(events, cancel, entry.terms.timeout.or(Some(LIMIT)));
        let handler = Arc::clone(&entry.execute);
        let mut running = tokio::spawn(async move { handler.handle(&work, room).await });
        let ending = loop {
            tokio::select! {
                ending = &mut running => break ending.map_err(|error| format!("the handler broke: {error}"))?,
                Some(event) = inbox.recv() => note(output, event),
            }
        };
        while let Ok(event) = inbox.try_recv() {
            note(output, event);
        }
        Ok(match ending {
            Ending::Done { .. } => (name, made + 1, Ended::Done, self.push_back(&job).await),
            Ending::Cancelled => (name, made + 1, Ended::Cancelled, "the copy was ended with the runner".to_owned()),
            Ending::NotStarted { reason } => (name, made + 1, Ended::Failed, format!("the copy was not run: {reason}")),
            Ending::Failed(failure) | Ending::TimedOut(failure) | Ending::Retry { failure, .. } => {
                (name, made + 1, Ended::Failed, format!("the copy failed: {}", failure.message))
            }
        })
    }

    /// Queues the job again, if it lies where that makes sense; says what became of it.
    async fn push_back(&self, job: &Job) -> String {
        let state = job.row.state;
        let able = |verb: Verb| {
            self.parts.system.abilities().iter().any(|known| known.verb == verb && known.states.contains(&state))
        };
        let change = if able(Verb::Retry) {
            Change::Retry { reset_attempts: false }
        } else if able(Verb::Requeue) {
            Change::Requeue { end: End::Last, reset_attempts: false }
        } else {
            return format!("the copy passed; the job is {state} and stays there");
        };
        let mutation = Mutation {
            queue: self.parts.seat.queue.clone(),
            change,
            target: Target::Jobs { state, ids: vec![job.row.id.clone()] },
            force: false,
        };
        let pushed = async {
            let link = self.parts.wire.control().await?;
            self.parts.system.mutate(&link, &mutation).await
        };
        match pushed.await {
            Ok(outcome) if !outcome.done.is_empty() => "the copy passed; the job was queued again".to_owned(),
            Ok(outcome) => {
                let reason = outcome.refused.first().map_or("it has moved on", |(_, reason)| reason.as_str());
                format!("the copy passed; the job was not queued again: {reason}")
            }
            Err(error) => format!("the copy passed; whether the job was queued again is not known: {error}"),
        }
    }
}

fn note(output: &mut Vec<OutputLine>, event: Event) {
    let (kind, text) = match event {
        Event::Started | Event::Progress(_) => return,
        Event::Log(line) => (OutputKind::Log, line),
        Event::Output { stream: Stream::Out, line } => (OutputKind::Out, line),
        Event::Output { stream: Stream::Err, line } => (OutputKind::Err, line),
    };
    if output.len() == LINES {
        output.remove(0);
    }
    output.push(OutputLine { at: wall(), kind, text });
}
