//! Looking for jobs that may be taken, in pieces, without touching any.

use std::time::Duration;

use super::definition::{self, MOST_BYTES};
use super::shift::{Candidate, Shift};
use super::take::wanted;
use super::{Arq, FUNCTION, LOOK, shape};
use crate::domain::ids::JobId;
use crate::domain::text::first_line;
use crate::domain::time::Timestamp;
use crate::link::{Link, Value};
use crate::systems::arq::keys::Keys;
use crate::systems::consume::Seat;
use crate::systems::{SystemError, reply};

/// Jobs looked at by one script, how many such steps one request may make, and bytes of each definition that are read.
const PAGE: u64 = 200;
const PAGES: usize = 5;
const HEAD: u64 = 512;
/// Wait between two requests that only looked at jobs of others.
const ON: Duration = Duration::from_millis(20);

impl Arq {
    /// Looks for jobs that may be taken. Answers how long to wait at most before the next look.
    pub(super) async fn look(&self, link: &Link, seat: &Seat) -> Result<Option<Duration>, SystemError> {
        let keys = Keys::of(&seat.queue);
        for _ in 0..PAGES {
            let (floor, rank) = self.shift(seat, Shift::place);
            let [rank, page, head] = [rank, PAGE, HEAD].map(|number| number.to_string());
            let floor = floor.map_or_else(|| "-inf".to_owned(), |floor| floor.0.to_string());
            let arguments = [&rank, &page, &page, &head, &floor];
            let answer = LOOK.run(link, &[&keys.queue], &arguments).await?;
            let values = reply::list(&answer).filter(|values| values.len() >= 3).ok_or_else(|| shape("no list"))?;
            let now = Timestamp(reply::int(&values[0]).unwrap_or_default());
            let looked = reply::count(&values[1]).unwrap_or(0);
            let later = reply::count(&values[2]).map(Duration::from_millis);
            let (jobs, _) = values[3..].as_chunks::<3>();
            let candidates = self.shift(seat, |shift| {
                if shift.is_at_front() {
                    shift.forget_left();
                }
                jobs.iter().filter_map(|[id, bytes, head]| candidate(shift, seat, id, bytes, head)).collect::<Vec<_>>()
            });
            let some = !candidates.is_empty();
            let end = looked < PAGE;
            self.shift(seat, |shift| {
                shift.saw(candidates);
                match (some, end) {
                    (true, _) => {}
                    (false, true) => shift.swept(now),
                    (false, false) => shift.pass(looked),
                }
            });
            if some || end {
                return Ok(later);
            }
        }
        // There is more to look at.
        Ok(Some(ON))
    }
}

/// A job that may be tried, or a note of why it is left.
fn candidate(shift: &mut Shift, seat: &Seat, id: &Value, bytes: &Value, head: &Value) -> Option<Candidate> {
    let (id, head) = (reply::bytes(id)?.to_vec(), reply::bytes(head).unwrap_or_default());
    let bytes = reply::count(bytes).unwrap_or(0);
    if bytes == 0 {
        // Nobody can run it any more. A worker for everything ends it, as the library does.
        let ours = seat.names.is_empty();
        if !ours {
            shift.leave("a job without a definition".to_owned());
        }
        return ours.then_some(Candidate { id, tries: 0, bytes });
    }
    let reason = match definition::start(head, bytes) {
        _ if bytes > MOST_BYTES => format!("a job whose definition has {bytes} bytes"),
        _ if shift.is_unreadable(&id) => "a job whose definition cannot be read".to_owned(),
        None => "a job whose definition cannot be read: it is no pickle, MessagePack or JSON of ARQ".to_owned(),
        Some((function, tries)) if wanted(seat, &function) => return Some(Candidate { id, tries, bytes }),
        Some((function, _)) => format!("function {}", first_line(&function, FUNCTION)),
    };
    if shift.leave(reason.clone()) {
        let id = JobId::from(id);
        tracing::warn!(queue = %seat.queue.name, job = %id, reason, "left for other workers");
    }
    None
}
