//! Waiting for a queue to change. Nothing can be blocked on without taking from the sorted set, so the server is asked to
//! tell once when it changes (`CLIENT TRACKING`, since Redis 6; needs no setting of the server). What it tells counts as
//! a hint only: an idle runner looks now and then in any case, and more seldom the longer nothing is found where the
//! server does not tell.

use std::time::{Duration, Instant};

use super::Arq;
use super::shift::Shift;
use crate::link::{Batch, Link, News, cmd};
use crate::systems::SystemError;
use crate::systems::arq::keys::Keys;
use crate::systems::consume::Seat;

/// How often an idle runner looks although the server tells of changes: the end of a dead worker's lock is none. Also the
/// longest a stop can take.
const NOW_AND_THEN: Duration = Duration::from_secs(2);
/// How long the server counts as about to tell: its word may have been missed.
const AGAIN: Duration = Duration::from_secs(30);
/// Changes of which nothing could be taken are looked at at once as long as their pace is below this; then others make
/// them, and they come in any number.
const AT_ONCE: Duration = Duration::from_millis(80);

/// What a connection can be heard to tell.
#[derive(Debug)]
pub struct Ear {
    news: News,
    state: Listening,
}

/// How things stand on a connection.
#[derive(Clone, Copy, Debug)]
enum Listening {
    /// The server was never asked.
    Never,
    /// It does not tell.
    Deaf,
    /// It was asked at this moment, and has told when more has come than at this count.
    Asked(Instant, u64),
    /// It has told, and must be asked again.
    Told,
}

impl Arq {
    /// Returns when the queue may have changed, or after a while.
    pub(super) async fn listen(&self, own: &Link, seat: &Seat, limit: Duration) -> Result<(), SystemError> {
        match self.shift(seat, |shift| listening(shift, own.news())) {
            Listening::Asked(since, count) if since.elapsed() < AGAIN => {
                let quiet = tokio::time::timeout(limit.min(NOW_AND_THEN), own.news().after(count)).await.is_err();
                let wait = self.shift(seat, |shift| heard(shift, quiet, limit));
                if !wait.is_zero() {
                    tokio::time::sleep(wait.min(limit)).await;
                }
                Ok(())
            }
            Listening::Deaf => {
                let wait = self.shift(seat, Shift::wait);
                tokio::time::sleep(wait.min(limit)).await;
                Ok(())
            }
            known => {
                let news = own.news().clone();
                let asked = Listening::Asked(Instant::now(), news.count());
                let tells = ask(own, seat, matches!(known, Listening::Never)).await?;
                let state = if tells { asked } else { Listening::Deaf };
                self.shift(seat, |shift| shift.ear = Some(Ear { news, state }));
                // What came before is looked for once more.
                Ok(())
            }
        }
    }
}

fn listening(shift: &Shift, news: &News) -> Listening {
    shift.ear.as_ref().filter(|ear| ear.news.same(news)).map_or(Listening::Never, |ear| ear.state)
}

/// Notes what a wait brought; answers how much longer to wait.
fn heard(shift: &mut Shift, quiet: bool, limit: Duration) -> Duration {
    if quiet {
        if limit >= NOW_AND_THEN {
            shift.calm();
        }
        return Duration::ZERO;
    }
    if let Some(ear) = &mut shift.ear {
        ear.state = Listening::Told;
    }
    let wait = shift.wait();
    if wait < AT_ONCE { Duration::ZERO } else { wait }
}

/// Asks the server to tell when the queue changes; false if it does not do that.
async fn ask(own: &Link, seat: &Seat, first: bool) -> Result<bool, SystemError> {
    let mut batch = Batch::new();
    if first {
        // Only in this form of the protocol anything comes that was not asked for.
        batch.ask(cmd("HELLO").arg(3).to_owned()).ask(cmd("CLIENT").arg("TRACKING").arg("ON").to_owned());
    }
    // It tells of keys that were read.
    batch.ask(cmd("ZCARD").arg(Keys::of(&seat.queue).queue).to_owned());
    let replies = own.send(&batch).await?;
    if let Some(refusal) = replies.iter().find_map(|reply| reply.as_ref().err()) {
        tracing::debug!(queue = %seat.queue.name, %refusal, "the server does not tell when the queue changes");
        return Ok(false);
    }
    Ok(true)
}
