//! Jobs at set times: cron patterns in a time zone, or every so often. A moment fires once with any number of runners,
//! because the queue itself remembers the last that did (R25). Moments are those of the server's clock.

use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use super::pool::Pool;
use super::wire::Patience;
use crate::config::{Missed, Timetable};
use crate::domain::time::Timestamp;
use crate::link::cmd;
use crate::systems::consume::Firing;
use crate::systems::{SystemError, reply};

/// Longest sleep: the server's clock may be set.
const LOOK: Duration = Duration::from_secs(20);

/// When a schedule fires.
#[derive(Clone, Debug)]
pub enum Rule {
    /// A pattern in a time zone.
    Cron(Box<croner::Cron>, TimeZone),
    /// Multiples of this since the epoch, so that all runners mean the same moments.
    Every(Duration),
}

impl Rule {
    /// Of a table that was checked; says what is wrong otherwise.
    pub fn of(timetable: &Timetable) -> Result<Self, String> {
        if let Some(every) = timetable.every {
            return Ok(Self::Every(every.max(Duration::from_millis(1))));
        }
        let pattern = timetable.cron.as_deref().unwrap_or_default();
        let cron = croner::Cron::from_str(pattern).map_err(|error| format!("{pattern:?}: {error}"))?;
        let zone = match &timetable.timezone {
            Some(name) => TimeZone::get(name).map_err(|error| error.to_string())?,
            None => TimeZone::UTC,
        };
        Ok(Self::Cron(Box::new(cron), zone))
    }

    /// The first moment after `at`; `None`: there is none.
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(every) => {
                let every = i64::try_from(every.as_millis()).ok()?;
                Some(Timestamp((at.0.div_euclid(every) + 1) * every))
            }
            Self::Cron(cron, zone) => {
                let start = jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(zone.clone());
                let next = cron.find_next_occurrence(&start, false).ok()?;
                Some(Timestamp(next.timestamp().as_millisecond()))
            }
        }
    }

    /// The last moment up to `at`.
    pub fn until(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(every) => {
                let every = i64::try_from(every.as_millis()).ok()?;
                Some(Timestamp(at.0.div_euclid(every) * every))
            }
            Self::Cron(cron, zone) => {
                let start = jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(zone.clone());
                let last = cron.find_previous_occurrence(&start, true).ok()?;
                Some(Timestamp(last.timestamp().as_millisecond()))
            }
        }
    }
}

/// The last moment that was dealt with; kept when a schedule goes on through another pool.
pub type Last = Arc<Mutex<Option<Timestamp>>>;

/// Fires one schedule until cancelled.
pub async fn run(pool: Arc<Pool>, timetable: Timetable, over: CancellationToken, last: Last) {
    let rule = match Rule::of(&timetable) {
        Ok(rule) => rule,
        Err(error) => return tracing::error!(schedule = timetable.name, %error, "this schedule never fires"),
    };
    let mut patience = Patience::default();
    while !over.is_cancelled() {
        let known = || last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut moment = *known();
        let turned = turn(&pool, &timetable, &rule, &mut moment).await;
        // Its successor may be further already.
        let moment = moment.max(*known());
        *known() = moment;
        let sleep = match turned {
            Ok(Some(sleep)) => {
                patience.reset();
                sleep
            }
            Ok(None) => return tracing::warn!(schedule = timetable.name, "its last moment has passed"),
            Err(error) => {
                pool.parts.wire.learn(&error).await;
                tracing::warn!(schedule = timetable.name, %error, "could not fire now");
                patience.failed()
            }
        };
        tokio::select! {
            () = over.cancelled() => return,
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Fires what is due; tells how long to sleep, `None`: there is nothing to come. `last`: the last moment dealt with.
async fn turn(
    pool: &Pool,
    timetable: &Timetable,
    rule: &Rule,
    last: &mut Option<Timestamp>,
) -> Result<Option<Duration>, SystemError> {
    let link = pool.parts.wire.control().await?;
    let now = server_time(&link.ask(cmd("TIME")).await?);
    let from = match *last {
        Some(last) => last,
        None => {
            // Before this runner: made up for once, or left to lie.
            if timetable.missed == Missed::Once
                && let Some(tick) = rule.until(now)
            {
                fire(pool, timetable, tick, true).await?;
            }
            *last.insert(now)
        }
    };
    if rule.after(from).is_some_and(|next| next <= now)
        && let Some(tick) = rule.until(now)
    {
        fire(pool, timetable, tick, false).await?;
        *last = Some(tick);
    }
    let next = rule.after(now).map(|next| next.until(now));
    Ok(next.map(|next| next.min(LOOK) + Duration::from_millis(1)))
}

async fn fire(pool: &Pool, timetable: &Timetable, tick: Timestamp, missed: bool) -> Result<(), SystemError> {
    let link = pool.parts.wire.control().await?;
    let data = timetable.data.as_ref().and_then(|data| serde_json::to_vec(data).ok());
    let firing = Firing {
        schedule: timetable.name.clone(),
        name: timetable.name.clone(),
        tick,
        data: Bytes::from(data.unwrap_or_else(|| b"{}".to_vec())),
        missed,
    };
    // Repeating it is safe: a moment that has fired does not fire again.
    if pool.consumer().fire(&link, &pool.parts.seat, &firing).await? {
        tracing::info!(schedule = timetable.name, at = tick.rfc3339(), "a scheduled job was added");
    }
    Ok(())
}

fn server_time(value: &crate::link::Value) -> Timestamp {
    match reply::list(value) {
        Some([seconds, micros]) => {
            Timestamp(reply::int(seconds).unwrap_or(0) * 1000 + reply::int(micros).unwrap_or(0) / 1000)
        }
        _ => super::slot::wall(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(toml: &str) -> Rule {
        Rule::of(&toml::from_str(toml).expect("a table")).expect("a rule")
    }

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().expect("a moment").as_millisecond())
    }

    #[test]
    fn patterns_follow_their_time_zone_over_the_change_of_clocks() {
        let nightly = rule("cron = '0 2 * * *'");
        assert_eq!(nightly.after(at("2026-03-01T01:00:00Z")), Some(at("2026-03-01T02:00:00Z")));
        let berlin = rule("cron = '30 4 * * *'\ntimezone = 'Europe/Berlin'");
        assert_eq!(berlin.after(at("2026-03-28T12:00:00Z")), Some(at("2026-03-29T02:30:00Z")));
        assert_eq!(berlin.after(at("2026-03-27T12:00:00Z")), Some(at("2026-03-28T03:30:00Z")));
        assert_eq!(berlin.until(at("2026-03-28T03:30:00Z")), Some(at("2026-03-28T03:30:00Z")));
    }

    #[test]
    fn r25_intervals_mean_the_same_moments_everywhere() {
        let every = rule("every = '90s'");
        assert_eq!(every.after(Timestamp(90_001)), Some(Timestamp(180_000)));
        assert_eq!(every.after(Timestamp(180_000)), Some(Timestamp(270_000)));
        assert_eq!(every.until(Timestamp(269_999)), Some(Timestamp(180_000)));
    }
}
