//! Claims of what a script took.

use std::time::Duration;

use bytes::Bytes;

use super::definition::Definition;
use super::exchange::{JOB_VALUES, Step, Taken, Taking, ending};
use super::{ABORTED, Arq, EXPIRED, FUNCTION, MAX_TRIES, SETTLE, shape};
use crate::domain::address::glob;
use crate::domain::ids::JobId;
use crate::domain::text::first_line;
use crate::domain::time::Timestamp;
use crate::link::{Link, Value};
use crate::systems::consume::{Claim, Limits, OwnBackoff, Seat};
use crate::systems::{SystemError, reply};

/// How long nothing may be taken, and why.
pub type Hold = Option<(Duration, String)>;

/// True if the seat's handlers take jobs of this function.
pub fn wanted(seat: &Seat, function: &str) -> bool {
    seat.names.is_empty() || seat.names.iter().any(|pattern| glob(pattern, function))
}

impl Arq {
    /// Makes claims of what a script took. What cannot be read, or is another function's by now, goes back at once.
    pub(super) async fn taken(
        &self,
        link: &Link,
        seat: &Seat,
        takes: &Taking,
        answer: &Value,
    ) -> Result<(Vec<Claim>, Hold), SystemError> {
        let values = reply::list(answer).filter(|values| values.len() >= 2).ok_or_else(|| shape("no list"))?;
        let now = Timestamp(reply::int(&values[0]).unwrap_or_default());
        let hold =
            reply::count(&values[1]).map(|left| (Duration::from_millis(left), "the rate limit is reached".to_owned()));
        let (jobs, _) = values[2..].as_chunks::<JOB_VALUES>();
        let mut claims = Vec::with_capacity(jobs.len());
        for job in jobs {
            let Some(job) = Taken::read(job) else { continue };
            match self.claim_of(seat, job, now) {
                Ok(claim) => claims.push(claim),
                Err((job, reason)) => {
                    let id = JobId::from(job.id.clone());
                    tracing::warn!(queue = %seat.queue.name, job = %id, reason, "left for other workers");
                    self.shift(seat, |shift| {
                        shift.note_unreadable(&job.id);
                        shift.leave(reason);
                    });
                    let mut back = takes.arguments[..6].to_vec();
                    back[3] = b"0".to_vec();
                    back.extend(ending(&job.id, &job.lock, Step { word: "unseen", ..Step::default() }));
                    SETTLE.run(link, &takes.keys, &back).await?;
                }
            }
        }
        self.shift(seat, |shift| {
            if !claims.is_empty() {
                shift.found(claims.len() as u64);
            }
        });
        Ok((claims, hold))
    }

    fn claim_of(&self, seat: &Seat, job: Taken, now: Timestamp) -> Result<Claim, (Taken, String)> {
        let read = match &job.definition {
            None => None,
            Some(stored) => match Definition::read(stored) {
                Ok(read) if !wanted(seat, &read.function) => {
                    let reason = format!("function {}", first_line(&read.function, FUNCTION));
                    return Err((job, reason));
                }
                Ok(read) => Some(read),
                Err(reason) => return Err((job, format!("a job whose definition cannot be read: {reason}"))),
            },
        };
        if let Some(read) = &read {
            self.shift(seat, |shift| shift.serializer = Some(read.serializer));
        }
        let allowed = read.as_ref().and_then(|read| seat.attempts.of(&read.function));
        let most = allowed.unwrap_or(MAX_TRIES);
        let doomed = match &read {
            None => Some(EXPIRED.to_owned()),
            Some(_) if job.aborted => Some(ABORTED.to_owned()),
            Some(_) if job.starts > most => Some(format!("max {most} retries exceeded")),
            Some(_) => None,
        };
        let (function, enqueued, handed) = match read {
            Some(read) => (read.function, read.enqueued, read.handed),
            None => (String::new(), None, Bytes::new()),
        };
        Ok(Claim {
            id: JobId::from(job.id),
            name: function,
            payload: handed,
            attempts_made: job.starts.saturating_sub(1),
            attempts: Some(MAX_TRIES),
            backoff: Some(OwnBackoff::OnRequest),
            created_at: enqueued,
            ready_at: Some(Timestamp(job.score)),
            claimed_at: now,
            deaths: job.deaths,
            limits: Limits::default(),
            doomed,
            token: Bytes::from(job.lock),
            receipt: Bytes::from(job.definition.unwrap_or_default()),
        })
    }
}
