//! A runner whose handler is a function of the test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use qtop::config::Runner;
use qtop::domain::described::Described;
use qtop::domain::runner::{PoolView, RunnerView};
use qtop::engine::runner::error::RunnerError;
use qtop::engine::runner::execute::Execute;
use qtop::engine::runner::work::{Ending, Failure, Room, Work};
use qtop::engine::runner::{RunnerConfig, RunnerEnd, RunnerHandle, start};
use qtop::link::{ConnectOptions, Mode};
use qtop_testkit::{TestServer, wait_until};

/// What a test's handler does.
pub type Job = dyn Fn(Work, Room) -> BoxFuture<'static, Ending> + Send + Sync;

struct Function(Arc<Job>);

impl Execute for Function {
    fn handle<'a>(&'a self, work: &'a Work, room: Room) -> BoxFuture<'a, Ending> {
        (self.0)(work.clone(), room)
    }
}

/// A list `mail` that the runner can work on.
pub const LIST: &str = r#"
name = "mail"
key = "mail"
fields = { id = "id", name = "type", attempts = "attempts", error = "last_error" }
delayed = { key = "mail:later", unit = "ms" }
dead = "mail:dead"
processing_pattern = "mail:processing:*"
"#;

/// The described list.
pub fn described() -> Described {
    Described { lists: vec![toml::from_str(LIST).unwrap()], ..Described::default() }
}

/// A `[runner]` table with one pool on the list; `pool`: more lines of the pool.
pub fn runner(pool: &str) -> Runner {
    runner_on("list:mail", pool)
}

/// The same on any queue.
pub fn runner_on(queue: &str, pool: &str) -> Runner {
    let text = format!(
        "name = 'test'\nlease = '4s'\ngrace = '5s'\n[[pool]]\nqueue = '{queue}'\n{pool}\n[[pool.handler]]\ncommand = ['true']"
    );
    toml::from_str(&text).unwrap()
}

/// Starts a runner with a function as the only handler.
pub fn begin(url: &str, runner: Runner, job: Arc<Job>) -> Result<Bench, RunnerError> {
    begin_with(url, runner, job, &described())
}

/// The same with other descriptions.
pub fn begin_with(url: &str, runner: Runner, job: Arc<Job>, described: &Described) -> Result<Bench, RunnerError> {
    begin_on(url, runner, job, qtop::systems::all(described))
}

/// The same with other systems.
pub fn begin_on(
    url: &str,
    runner: Runner,
    job: Arc<Job>,
    systems: Vec<Arc<dyn qtop::systems::System>>,
) -> Result<Bench, RunnerError> {
    let mut connect = ConnectOptions::new(url);
    connect.mode = Mode::ReadWrite;
    connect.lenient_gate = false;
    let config = RunnerConfig {
        connect,
        server: "test".to_owned(),
        systems: Arc::new(systems),
        runner,
        build: Arc::new(move |_| Ok(Arc::new(Function(Arc::clone(&job))) as Arc<dyn Execute>)),
    };
    start(config).map(|handle| Bench { handle })
}

/// A running runner.
pub struct Bench {
    /// Its ends.
    pub handle: RunnerHandle,
}

impl Bench {
    /// What it shows.
    pub fn view(&self) -> Arc<RunnerView> {
        Arc::clone(&self.handle.view.borrow())
    }

    /// Waits until the view is as wanted.
    pub fn until(&self, what: &str, wanted: impl Fn(&RunnerView) -> bool) {
        wait_until(what, Duration::from_secs(30), || wanted(&self.view()));
    }

    /// Waits until its first pool is as wanted.
    pub fn until_pool(&self, what: &str, wanted: impl Fn(&PoolView) -> bool) {
        self.until(what, |view| view.pools.first().is_some_and(&wanted));
    }

    /// Stops it in good order.
    pub fn stop(self) -> RunnerEnd {
        self.handle.stop.cancel();
        self.handle.join().unwrap()
    }
}

/// Where a test's handler notes what it did: the checker reads this, not the runner's own counters.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    /// Notes something.
    pub fn add(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    /// Everything noted.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A handler that notes the job's payload and succeeds.
pub fn noting(notes: &Notes) -> Arc<Job> {
    let notes = notes.clone();
    Arc::new(move |work, _| {
        notes.add(String::from_utf8_lossy(&work.payload));
        Box::pin(async { Ending::Done { result: None } })
    })
}

/// A handler that notes the job's id, takes so long, and can be cancelled.
pub fn slow(notes: &Notes, span: Duration) -> Arc<Job> {
    let notes = notes.clone();
    Arc::new(move |work, room| {
        notes.add(work.id.to_text());
        Box::pin(async move {
            tokio::select! {
                () = room.cancel.cancelled() => Ending::Cancelled,
                () = tokio::time::sleep(span) => Ending::Done { result: None },
            }
        })
    })
}

/// A handler that always fails.
pub fn failing(notes: &Notes) -> Arc<Job> {
    let notes = notes.clone();
    Arc::new(move |work, _| {
        notes.add(format!("{} {}", work.id, work.attempt));
        Box::pin(async { Ending::Retry { failure: Failure::new("no route"), after: None } })
    })
}

/// Makes the server look as after an outage that was longer than a sign of life holds, the moment it is back: no runner
/// has given one. `own`: the start of qtop's own keys at the queue.
pub fn forget_signs(server: &TestServer, own: &str) {
    let script = "for _, key in ipairs(redis.call('KEYS', ARGV[1] .. 'alive:*')) do redis.call('DEL', key) end \
                  for _, one in ipairs(redis.call('ZRANGE', ARGV[1] .. 'runners', 0, -1)) do \
                  redis.call('ZADD', ARGV[1] .. 'runners', 1000, one) end return 1";
    redis::cmd("EVAL").arg(script).arg(0).arg(own).exec(&mut server.client()).unwrap();
}
