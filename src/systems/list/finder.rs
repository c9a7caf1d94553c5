//! Keys behind the globs of a description, for deeper reads. A walk is bounded, goes on where the last one stopped, and
//! what it found is kept for half a minute.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::memo::KEYS_KEPT;
use super::plan::scan_command;
use crate::domain::ids::Name;
use crate::link::Link;
use crate::systems::{ReadError, SystemError, reply};

/// What was found is good for this long.
const KEPT: Duration = Duration::from_secs(30);

/// Steps one read may take, of a thousand keys each: about 15 ms of the server's time, one step at a time.
const STEPS: usize = 30;

/// Keys behind one glob.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// In order, at most [`KEYS_KEPT`].
    pub keys: Vec<Name>,
    /// False if the walk has not yet seen the whole keyspace, or more keys fit than are kept.
    pub complete: bool,
}

#[derive(Default)]
struct Walk {
    cursor: u64,
    met: BTreeSet<Name>,
    last: Option<(Instant, Found)>,
}

/// Walks by server and glob. Only a cache: losing it costs a walk.
#[derive(Default)]
pub struct Finder {
    walks: Mutex<HashMap<(String, String), Walk>>,
}

impl Finder {
    /// The keys of a glob, from the cache if it is young enough. `kind`: only keys of that Redis type.
    pub async fn find(&self, link: &Link, pattern: &str, kind: Option<&str>) -> Result<Found, SystemError> {
        let place = (link.target().to_owned(), pattern.to_owned());
        let mut walk = match self.take(&place) {
            Ok(found) => return Ok(found),
            Err(walk) => walk,
        };
        let mut found = Found::default();
        for _ in 0..STEPS {
            let value = link.ask(scan_command(pattern, kind, walk.cursor)).await?;
            let (cursor, keys) =
                reply::scan(&value).ok_or_else(|| ReadError::Shape { command: "SCAN", what: format!("{value:?}") })?;
            walk.met.extend(keys.into_iter().map(Name::from));
            walk.cursor = cursor;
            if cursor == 0 {
                found.complete = walk.met.len() <= KEYS_KEPT;
                break;
            }
        }
        found.keys = walk.met.iter().take(KEYS_KEPT).cloned().collect();
        if walk.cursor == 0 {
            walk.met.clear();
            walk.last = Some((Instant::now(), found.clone()));
        } else if let Some((_, last)) = &walk.last {
            // Until this walk is done the last whole one tells more.
            found = last.clone();
        }
        self.walks.lock().unwrap_or_else(PoisonError::into_inner).insert(place, walk);
        Ok(found)
    }

    fn take(&self, place: &(String, String)) -> Result<Found, Walk> {
        let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, found)) = walks.get(place).and_then(|walk| walk.last.as_ref())
            && at.elapsed() < KEPT
        {
            return Ok(found.clone());
        }
        Err(walks.remove(place).unwrap_or_default())
    }
}
