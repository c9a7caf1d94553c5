//! What cannot be right in the `[runner]` tables.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use super::{Check, steps};
use crate::config::document::Step;
use crate::config::handler::{Handler, check_handler};
use crate::config::runner::{Backoff, Dedup, Pool, Retry, Timetable, Unmatched};
use crate::config::schema::Config;
use crate::config::values;
use crate::domain::problem::nearest;
use crate::domain::template::{self, Template};

/// Most jobs a pool may run at once.
const MOST_AT_ONCE: usize = 1_000;
/// Shortest lease: renewing more often would be a burden.
const SHORTEST_LEASE: Duration = Duration::from_secs(2);
/// Shortest time between two moments of a schedule.
const SHORTEST_TURN: Duration = Duration::from_secs(1);

/// The longest time an attempt at any of a pool's jobs may take; `None`: any time.
fn longest(pool: &Pool) -> Option<Duration> {
    let times = pool.handlers.iter().map(|handler| handler.timeout.or(pool.timeout));
    match pool.handlers.is_empty() {
        true => pool.timeout,
        false => times.collect::<Option<Vec<_>>>()?.into_iter().max(),
    }
}

/// A pattern of the handlers before that leaves nothing to this one; `None`: something may be left.
fn hidden<'a>(handler: &Handler, before: &'a [Handler]) -> Option<&'a str> {
    let by = |pattern: &str| {
        let earlier = before.iter().flat_map(|handler| handler.matches.iter());
        let all = |earlier: &str| !earlier.is_empty() && earlier.chars().all(|c| c == '*');
        earlier.into_iter().find(|earlier| all(earlier) || *earlier == pattern)
    };
    let mut found = None;
    for pattern in handler.matches.iter() {
        found = Some(by(pattern)?);
    }
    found
}

impl Check<'_> {
    pub(super) fn runner(&mut self, config: &Config) {
        let runner = &config.runner;
        let at = |key: &str| vec![Step::from("runner"), Step::from(key)];
        if runner.name.is_empty() || !runner.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            let expected = Some("letters, digits, \"-\", \"_\" and \".\"".to_owned());
            self.add(&at("name"), "this cannot be the name of a runner", expected, None);
        }
        if runner.lease < SHORTEST_LEASE {
            self.add(&at("lease"), "a claim must hold longer than that", Some("2s or more".to_owned()), None);
        }
        if let Some(address) = &runner.metrics
            && !address.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
        {
            let message = "metrics are served to this machine only";
            self.add(&at("metrics"), message, Some("an address such as \"127.0.0.1:9100\"".to_owned()), None);
        }
        if runner.max_load.is_some_and(|load| load.is_nan() || load <= 0.0) {
            self.add(&at("max_load"), "no load is that low", Some("a number above 0".to_owned()), None);
        }
        let secrets: Vec<&str> = config
            .servers
            .values()
            .flat_map(|server| [server.url_env.as_deref(), server.password_env.as_deref()])
            .flatten()
            .collect();
        for (index, pool) in runner.pools.iter().enumerate() {
            self.pool(index, pool, &runner.pools[..index], &secrets);
        }
        for (index, timetable) in runner.schedules.iter().enumerate() {
            self.timetable(index, timetable, &runner.pools, &runner.schedules[..index]);
        }
    }

    fn pool(&mut self, index: usize, pool: &Pool, before: &[Pool], secrets: &[&str]) {
        let table = vec![Step::from("runner"), Step::from("pool"), Step::from(index)];
        let at = |keys: &[&str]| [table.clone(), keys.iter().copied().map(Step::from).collect()].concat();
        self.queue(&table, &pool.queue);
        if before.iter().any(|other| other.queue == pool.queue) && !pool.queue.is_empty() {
            let remedy = Some("put its handlers into one [[runner.pool]]".to_owned());
            self.add(&at(&["queue"]), format!("two pools work on {}", pool.queue), None, remedy);
        }
        if !(1..=MOST_AT_ONCE).contains(&pool.concurrency) {
            let expected = Some(format!("1 to {MOST_AT_ONCE}"));
            self.add(&at(&["concurrency"]), format!("{} is not possible here", pool.concurrency), expected, None);
        }
        self.terms(&table, pool.timeout, pool.retry.as_ref(), Some(pool.max_crashes), pool.dedup.as_ref());
        self.stream(&at, pool);
        if pool.rate.is_some_and(|rate| rate.jobs == 0 || rate.per.is_zero()) {
            let expected = Some("{ jobs = 10, per = \"1s\" }".to_owned());
            self.add(&at(&["rate"]), "this rate lets nothing through", expected, None);
        }
        if pool.handlers.is_empty() && !self.document.lost_from(&table) {
            let remedy = "add [[runner.pool.handler]] with command = [\"PROGRAM\", …], process or http".to_owned();
            self.add(&table, "a pool without a handler cannot run anything", None, Some(remedy));
        }
        for (number, handler) in pool.handlers.iter().enumerate() {
            let table = [table.clone(), vec!["handler".into(), number.into()]].concat();
            for problem in check_handler(handler, secrets) {
                let place = [table.clone(), steps(&problem.field)].concat();
                self.add(&place, problem.message, None, problem.remedy);
            }
            let Handler { timeout, retry, max_crashes, dedup, .. } = handler;
            self.terms(&table, *timeout, retry.as_ref(), *max_crashes, dedup.as_ref());
            if let Some(pattern) = hidden(handler, &pool.handlers[..number]) {
                let place = table.clone();
                let message = format!("this handler is never reached: the pattern {pattern:?} stands before it");
                let remedy =
                    Some("handlers are asked in their order: put it before that one, or leave it out".to_owned());
                self.add(&place, message, None, remedy);
            }
        }
    }

    /// What a pool says of all its jobs, or a handler of those it takes.
    fn terms(
        &mut self,
        table: &[Step],
        timeout: Option<Duration>,
        retry: Option<&Retry>,
        max_crashes: Option<u32>,
        dedup: Option<&Dedup>,
    ) {
        let at = |keys: &[&str]| [table.to_vec(), keys.iter().copied().map(Step::from).collect()].concat();
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            self.add(&at(&["timeout"]), "no job ends in no time", Some("a time such as \"60s\"".to_owned()), None);
        }
        if max_crashes == Some(0) {
            self.add(&at(&["max_crashes"]), "0 would give up every job unseen", Some("1 or more".to_owned()), None);
        }
        if let Some(retry) = retry {
            self.retry(&at(&["retry"]), retry);
        }
        let Some(dedup) = dedup else { return };
        if let Err(error) = Template::parse(&dedup.key, template::ARGUMENT) {
            self.add(&at(&["dedup", "key"]), error.to_string(), None, None);
        } else if !dedup.key.contains('{') {
            let remedy = Some("name a field, for example key = \"{data.message_id}\"".to_owned());
            self.add(&at(&["dedup", "key"]), "all jobs would have the same key", None, remedy);
        }
        if dedup.ttl.is_zero() {
            self.add(&at(&["dedup", "ttl"]), "no time", Some("a time such as \"1h\"".to_owned()), None);
        }
    }

    /// What holds for streams only.
    fn stream(&mut self, at: &dyn Fn(&[&str]) -> Vec<Step>, pool: &Pool) {
        let system = pool.queue.split([':', '@']).next().unwrap_or_default();
        if system == "stream" && pool.unmatched == Some(Unmatched::Return) {
            let message =
                "an entry of a stream cannot go back: nobody but the consumer it was delivered to gets it again";
            let remedy = "write unmatched = \"fail\", add a handler with match = \"*\", or work for a group of its own";
            self.add(&at(&["unmatched"]), message, None, Some(remedy.to_owned()));
        }
        if pool.max_deliveries == 0 {
            self.add(&at(&["max_deliveries"]), "0 would give up every entry", Some("1 or more".to_owned()), None);
        }
        let Some(idle) = pool.claim_idle else { return };
        if system != "stream" {
            let remedy = Some("leave it out: only streams leave entries with consumers that died".to_owned());
            self.add(&at(&["claim_idle"]), format!("{} has no idle entries", pool.queue), None, remedy);
        } else if longest(pool).is_none_or(|timeout| timeout >= idle) {
            let message = "entries that are still being worked on would be taken, and run twice";
            let remedy = match longest(pool) {
                Some(timeout) if Some(timeout) != pool.timeout => {
                    format!("make it longer than a handler's timeout of {}", values::time::write(timeout))
                }
                Some(timeout) => format!("make it longer than the pool's timeout of {}", values::time::write(timeout)),
                None => "give the pool a timeout below it: an attempt may take any time now".to_owned(),
            };
            self.add(&at(&["claim_idle"]), message, None, Some(remedy));
        }
    }

    fn retry(&mut self, path: &[Step], retry: &Retry) {
        let at = |key: &str| [path.to_vec(), vec![Step::from(key)]].concat();
        if retry.attempts == Some(0) {
            self.add(&at("attempts"), "0 attempts run nothing", Some("1 or more".to_owned()), None);
        }
        if !(1.0..=100.0).contains(&retry.factor) {
            let message = format!("{} is no factor to grow by", retry.factor);
            self.add(&at("factor"), message, Some("1 to 100".to_owned()), None);
        }
        if !(0.0..=1.0).contains(&retry.jitter) {
            let message = format!("{} is not a share", retry.jitter);
            self.add(&at("jitter"), message, Some("0 to 1; 0.1 is 10 %".to_owned()), None);
        }
        if matches!(&retry.backoff, Backoff::List(waits) if waits.is_empty()) {
            self.add(&at("backoff"), "an empty list of waits", Some("[\"5s\", \"15s\"]".to_owned()), None);
        }
    }

    /// An address with its system: a bare name could mean several queues.
    fn queue(&mut self, table: &[Step], queue: &str) {
        let path = [table.to_vec(), vec![Step::from("queue")]].concat();
        let system = queue.split_once(':').map(|(system, name)| (system.split('@').next().unwrap_or_default(), name));
        let remedy = "write SYSTEM:NAME, for example queue = \"bullmq:mail\", or SYSTEM@INSTANCE:NAME".to_owned();
        match system {
            Some((system, name)) if !name.is_empty() => {
                let known = self.known;
                self.one_of(&path, "queue system", system, &known.systems);
            }
            _ if queue.is_empty() => {
                if !self.document.lost_from(table) {
                    self.add(table, "no queue is named", None, Some(remedy));
                }
            }
            _ => self.add(&path, format!("{queue:?} is no queue's address"), None, Some(remedy)),
        }
    }

    fn timetable(&mut self, index: usize, timetable: &Timetable, pools: &[Pool], before: &[Timetable]) {
        let table = vec![Step::from("runner"), Step::from("schedule"), Step::from(index)];
        let at = |key: &str| [table.clone(), vec![Step::from(key)]].concat();
        if !pools.iter().any(|pool| pool.queue == timetable.queue) {
            let remedy = match nearest(&timetable.queue, pools.iter().map(|pool| pool.queue.as_str())) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "name the queue of one of the [[runner.pool]] tables".to_owned(),
            };
            self.add(&at("queue"), format!("no pool works on {:?}", timetable.queue), None, Some(remedy));
        }
        if timetable.name.is_empty() {
            let remedy = Some("add name = \"…\": it is the name of the jobs, too".to_owned());
            self.add(&table, "a schedule needs a name", None, remedy);
        } else if before.iter().any(|other| (&other.queue, &other.name) == (&timetable.queue, &timetable.name)) {
            self.add(&at("name"), format!("{:?} is scheduled twice", timetable.name), None, None);
        }
        match (&timetable.cron, timetable.every) {
            (None, None) => {
                let remedy = "add cron = \"0 2 * * *\" or every = \"60s\"".to_owned();
                self.add(&table, "nothing says when", None, Some(remedy));
            }
            (Some(_), Some(_)) => {
                self.add(&at("every"), "`cron` says already when", None, Some("keep one of them".to_owned()));
            }
            (Some(cron), None) => {
                let zone = timetable.timezone.as_deref().and_then(|zone| jiff::tz::TimeZone::get(zone).ok());
                let now = jiff::Timestamp::now().to_zoned(zone.unwrap_or(jiff::tz::TimeZone::UTC));
                match croner::Cron::from_str(cron) {
                    Err(error) => {
                        let expected = "five fields such as \"0 2 * * *\", or six with seconds".to_owned();
                        self.add(&at("cron"), format!("no cron pattern: {error}"), Some(expected), None);
                    }
                    Ok(pattern) if pattern.find_next_occurrence(&now, false).is_err() => {
                        let remedy = "name a day that the month has: minute, hour, day, month, day of the week";
                        self.add(&at("cron"), "no moment to come matches this", None, Some(remedy.to_owned()));
                    }
                    Ok(_) => {}
                }
            }
            (None, Some(every)) if every < SHORTEST_TURN => {
                self.add(&at("every"), "too often", Some("1s or more".to_owned()), None);
            }
            (None, Some(_)) => {}
        }
        if let Some(zone) = &timetable.timezone
            && jiff::tz::TimeZone::get(zone).is_err()
        {
            let expected = "a name such as \"Europe/Berlin\"".to_owned();
            self.add(&at("timezone"), format!("there is no time zone {zone:?}"), Some(expected), None);
        }
    }
}
