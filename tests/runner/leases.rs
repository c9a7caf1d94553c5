//! Systems whose claims cannot be renewed: a job must not be allowed to outlive its claim. Systems that break: no job must
//! be left lying.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use qtop::domain::ids::{JobId, QueueId};
use qtop::domain::job::{Job, JobRow, Page, PageRequest, Progress, Schedule, Search, SearchStep};
use qtop::domain::mutation::{self, Mutation};
use qtop::domain::reason::Reason;
use qtop::domain::snapshot::InstanceSample;
use qtop::domain::state::StateId;
use qtop::domain::worker::Worker;
use qtop::engine::runner::error::RunnerError;
use qtop::link::{Batch, Link, Replies};
use qtop::systems::consume::{Claim, Claimed, Consume, Firing, Outcome, Seat, Settled, Tended, Verdict};
use qtop::systems::{Answer, Instance, Memo, ReadError, Sighting, System, SystemError, SystemSpec};
use qtop_testkit::TestServer;

use crate::bench::{Notes, begin_on, described, noting, runner};

/// Plain lists, but for one thing.
struct Short(Arc<dyn System>, But);

/// What is different.
enum But {
    /// Claims end after ten seconds.
    Lease,
    /// Outcomes are stored together, which breaks so often.
    Breaks(AtomicUsize),
}

impl Short {
    fn inner(&self) -> &dyn Consume {
        self.0.consumer().unwrap()
    }

    fn systems(but: But) -> Vec<Arc<dyn System>> {
        let lists = qtop::systems::all(&described()).into_iter().find(|system| system.spec().name == "list").unwrap();
        vec![Arc::new(Self(lists, but))]
    }
}

impl System for Short {
    fn spec(&self) -> &'static SystemSpec {
        self.0.spec()
    }
    fn recognise(&self, key: &[u8]) -> Option<Sighting> {
        self.0.recognise(key)
    }
    fn plan(&self, instance: &Instance, memo: &Memo, batch: &mut Batch) {
        self.0.plan(instance, memo, batch);
    }
    fn read(&self, one: &Instance, memo: &mut Memo, replies: &mut Replies<'_>) -> Result<InstanceSample, ReadError> {
        self.0.read(one, memo, replies)
    }
    fn jobs<'a>(&'a self, link: &'a Link, of: &'a QueueId, in_: StateId, at: PageRequest) -> Answer<'a, Page<JobRow>> {
        self.0.jobs(link, of, in_, at)
    }
    fn job<'a>(&'a self, link: &'a Link, of: &'a QueueId, id: &'a JobId, most: u64) -> Answer<'a, Option<Job>> {
        self.0.job(link, of, id, most)
    }
    fn search<'a>(
        &'a self,
        link: &'a Link,
        of: &'a QueueId,
        in_: StateId,
        search: &'a Search,
        at: PageRequest,
    ) -> Answer<'a, SearchStep> {
        self.0.search(link, of, in_, search, at)
    }
    fn workers<'a>(&'a self, link: &'a Link, one: &'a Instance, clients: Option<&'a str>) -> Answer<'a, Vec<Worker>> {
        self.0.workers(link, one, clients)
    }
    fn schedules<'a>(&'a self, link: &'a Link, of: &'a QueueId, at: PageRequest) -> Answer<'a, Page<Schedule>> {
        self.0.schedules(link, of, at)
    }
    fn why<'a>(&'a self, link: &'a Link, of: &'a QueueId, job: Option<&'a JobId>) -> Answer<'a, Vec<Reason>> {
        self.0.why(link, of, job)
    }
    fn mutate<'a>(&'a self, link: &'a Link, mutation: &'a Mutation) -> Answer<'a, mutation::Outcome> {
        self.0.mutate(link, mutation)
    }
    fn consumer(&self) -> Option<&dyn Consume> {
        Some(self)
    }
}

impl Consume for Short {
    fn check(&self, queue: &QueueId) -> Result<(), String> {
        self.inner().check(queue)
    }
    fn fixed_lease(&self, _: &QueueId) -> Option<Duration> {
        matches!(self.1, But::Lease).then_some(Duration::from_secs(10))
    }
    fn stores_at_once(&self) -> usize {
        if matches!(self.1, But::Lease) { 1 } else { 8 }
    }
    fn settle_all<'a>(
        &'a self,
        link: &'a Link,
        seat: &'a Seat,
        outcomes: &'a [Outcome<'a>],
    ) -> Answer<'a, Vec<Result<Settled, SystemError>>> {
        let left = |left: &AtomicUsize| left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        let breaks = matches!(&self.1, But::Breaks(count) if left(count));
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert!(!breaks, "it breaks now");
            let mut answers = Vec::new();
            for Outcome { claim, verdict, next } in outcomes {
                answers.push(self.inner().settle(link, seat, claim, verdict, *next).await);
            }
            Ok(answers)
        })
    }
    fn claim<'a>(&'a self, link: &'a Link, seat: &'a Seat, want: usize) -> Answer<'a, Claimed> {
        self.inner().claim(link, seat, want)
    }
    fn wait<'a>(&'a self, own: &'a Link, seat: &'a Seat, limit: Duration) -> Answer<'a, Claimed> {
        self.inner().wait(own, seat, limit)
    }
    fn extend<'a>(&'a self, link: &'a Link, seat: &'a Seat, claims: &'a [Claim]) -> Answer<'a, Vec<bool>> {
        self.inner().extend(link, seat, claims)
    }
    fn settle<'a>(
        &'a self,
        link: &'a Link,
        seat: &'a Seat,
        claim: &'a Claim,
        verdict: &'a Verdict,
        next: bool,
    ) -> Answer<'a, Settled> {
        self.inner().settle(link, seat, claim, verdict, next)
    }
    fn tend<'a>(&'a self, link: &'a Link, seat: &'a Seat) -> Answer<'a, Tended> {
        self.inner().tend(link, seat)
    }
    fn fire<'a>(&'a self, link: &'a Link, seat: &'a Seat, firing: &'a Firing) -> Answer<'a, bool> {
        self.inner().fire(link, seat, firing)
    }
    fn leave<'a>(&'a self, link: &'a Link, seat: &'a Seat) -> Answer<'a, ()> {
        self.inner().leave(link, seat)
    }
    fn tell<'a>(
        &'a self,
        link: &'a Link,
        seat: &'a Seat,
        claim: &'a Claim,
        progress: Option<&'a Progress>,
        lines: &'a [String],
    ) -> Answer<'a, ()> {
        self.inner().tell(link, seat, claim, progress, lines)
    }
}

#[test]
fn r14_a_timeout_that_outlives_a_claim_is_refused_with_both_numbers() {
    let server = TestServer::start();
    let short = || Short::systems(But::Lease);
    // Which timeout is fine for claims of ten seconds, and what is said of the others.
    let table = [
        ("timeout = '9s'", None),
        ("timeout = '10s'", Some("10s")),
        ("timeout = '60s'", Some("60s")),
        ("", Some("any time")),
    ];
    let own = |timeout: u64, pool: &str| {
        let mut config = runner(pool);
        config.pools[0].handlers[0].timeout = Some(Duration::from_secs(timeout));
        config
    };
    let table = table.into_iter().map(|(pool, said)| (runner(pool), said));
    // What a handler says for its own jobs comes before what the pool says.
    let own = [(own(9, ""), None), (own(9, "timeout = '60s'"), None), (own(11, "timeout = '9s'"), Some("named *"))];
    for (config, said) in table.chain(own) {
        let pool = format!("{:?}, {:?}", config.pools[0].timeout, config.pools[0].handlers[0].timeout);
        let begun = begin_on(&server.url(), config, noting(&Notes::default()), short());
        match (said, begun) {
            (None, Ok(bench)) => drop(bench.stop()),
            (Some(said), Err(error @ RunnerError::Lease { .. })) => {
                let text = error.to_string();
                assert!(text.contains("list:mail") && text.contains("10s") && text.contains(said), "{pool}: {text}");
            }
            (_, Err(other)) => panic!("{pool}: {other}"),
            (Some(_), Ok(_)) => panic!("{pool}: it must not start"),
        }
    }
    // Where claims are renewed, as everywhere else, no timeout is too long.
    for pool in ["timeout = '600s'", ""] {
        begin_on(&server.url(), runner(pool), noting(&Notes::default()), qtop::systems::all(&described()))
            .unwrap()
            .stop();
    }
}

#[test]
fn r12_what_breaks_while_outcomes_are_stored_leaves_none_lying() {
    let server = TestServer::start();
    crate::lists::fill(&server, 24);
    let notes = Notes::default();
    let systems = Short::systems(But::Breaks(AtomicUsize::new(5)));
    let bench = begin_on(&server.url(), runner("concurrency = 6"), noting(&notes), systems).unwrap();
    bench.until_pool("every outcome", |pool| pool.counts.done == 24 && pool.slots.is_empty());
    assert_eq!(notes.all().len(), 24, "each ran once");
    assert_eq!(bench.stop().cut, 0);
    let left: Vec<String> = redis::from_redis_value(server.run("KEYS mail*")).unwrap();
    assert_eq!(left, Vec::<String>::new());
}
