//! A runner beside the screens, and what becomes of its jobs when those are left (U2).

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Asked, CUT, Local, Read, Signals, attend, begin, failure, hang_up, reader, summary};
use crate::cli::args::Cli;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::screen::Log;
use crate::config::{Config, Environment, Hangup};
use crate::domain::runner::RunnerView;
use crate::engine::runner::RunnerHandle;
use crate::run::{self, RunnerPort};
use crate::term::{Front, Signal, stand_in_front};

/// What a runner that went on without screens has to say is written to this file of the state folder.
const WORDS: &str = "background.log";

/// Shows the screens with a runner beside them. `show` tells how the screens were left.
///
/// The runner is never in the process that a shell knows: this one stands in front of another, which is started here.
pub fn beside_screens(
    cli: &Cli,
    mut config: Config,
    environment: &Environment,
    show: impl FnOnce(Config, Log, RunnerPort, Read) -> Result<run::Exit, Failure>,
) -> Result<u8, Failure> {
    let front = Front::find();
    if front.is_none() {
        match stand_in_front() {
            Ok(code) => return Ok(code),
            // Without one jobs cannot go on in the background; everything else works.
            Err(error) => Output::new(cli.options.ascii).note(&format!("no second process could be started: {error}")),
        }
    }
    config.runner.allow_eviction |= cli.running.allow_eviction;
    let local = if cli.running.local { Some(Local::start(environment)?) } else { None };
    let output = Output::new(cli.options.ascii);
    let log = Log::start(&config);
    // The runner writes on when the screens are left.
    let guard = log.guard();
    let handle = begin(&config)?;
    let port = RunnerPort { view: handle.view.clone(), orders: handle.orders.clone(), front, show: false };
    let (hangup, grace) = (config.runner.hangup, config.runner.grace);
    let read = || reader(cli, environment);
    let shown = handle.beside(|| show(config.clone(), log, port, read()));
    let hung_up = matches!(shown, Ok(run::Exit::Signal(Signal::Hangup, _)));
    let goes_on = matches!(shown, Ok(run::Exit::Detached)) || (hung_up && hangup == Hangup::Background);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Refused, format!("the runtime could not be started: {error}")))?;
    let view = if goes_on && let Some(words) = step_aside(front, environment, &output) {
        words.map_err(|error| Failure::new(Exit::Refused, format!("the screens cannot be left behind: {error}")))?;
        runtime.block_on(attend(&handle, Arc::new(config), read(), guard.as_deref(), &output))?
    } else {
        match &shown {
            _ if hung_up => hang_up(&handle, hangup),
            // A person chose to wait for what runs, and is not hurried.
            Ok(run::Exit::Quit) => handle.drain.cancel(),
            _ => handle.stop.cancel(),
        }
        runtime.block_on(see_off(&handle, hangup, grace, &output))?
    };
    drop(runtime);
    let end = handle.join().map_err(failure)?;
    let afterwards = local.map(Local::end);
    output.note(&summary(&view, end.cut, afterwards));
    Ok(if end.cut > 0 { CUT } else { shown?.code() })
}

/// Waits for the last jobs. A signal gives them no longer than the grace time, a further one puts them back.
async fn see_off(
    handle: &RunnerHandle,
    hangup: Hangup,
    grace: Duration,
    output: &Output,
) -> Result<Arc<RunnerView>, Failure> {
    let mut signals = Signals::new()?;
    let active: usize = handle.view.borrow().pools.iter().map(|pool| pool.slots.len()).sum();
    if active > 0 && !handle.hurry.is_cancelled() {
        let jobs = if active == 1 { "1 job" } else { &format!("{active} jobs") };
        let key = if handle.stop.is_cancelled() { "put back".to_owned() } else { format!("no longer than {grace:?}") };
        output.note(&format!("waiting for {jobs} to end (Ctrl-C: {key})"));
    }
    loop {
        tokio::select! {
            () = handle.over.cancelled() => return Ok(Arc::clone(&handle.view.borrow())),
            asked = signals.next() => match asked {
                // Nobody is there any more who could hurry them.
                Asked::Hangup => hang_up(handle, hangup),
                Asked::End if handle.stop.is_cancelled() => handle.hurry.cancel(),
                Asked::End => {
                    output.note(&format!("what runs may take {grace:?} more (Ctrl-C: put back)"));
                    handle.stop.cancel();
                }
            },
        }
    }
}

/// Lets the shell and its terminal go. `None`: there is no process in front that could end in this one's place.
fn step_aside(front: Option<Front>, environment: &Environment, output: &Output) -> Option<std::io::Result<()>> {
    let front = front?;
    let words = environment.state.as_deref().map_or_else(|| PathBuf::from("/dev/null"), |state| state.join(WORDS));
    let pid = std::process::id();
    let told = format!(
        "jobs go on in the background (process {pid}); kill -TERM {pid} ends it in good order; see {}",
        words.display()
    );
    output.note(&told);
    Some(leave_terminal(&words).and_then(|()| front.release()))
}

/// From now on nothing is read from or written to the terminal: it may be closed, or somebody else's.
fn leave_terminal(words: &Path) -> std::io::Result<()> {
    if let Some(folder) = words.parent() {
        fs::create_dir_all(folder)?;
    }
    let nothing = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let words = OpenOptions::new().create(true).append(true).mode(0o600).open(words)?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    Ok(rustix::stdio::dup2_stderr(words)?)
}
