//! `qtop demo`: a private, throw-away Redis in which queues of several systems live, so that qtop can be tried on a
//! machine that has none.
//!
//! The jobs are not painted: producers add them and workers run them through the real protocols, on a runtime and a
//! thread of their own. Must not touch any server but the one it started, and must leave nothing behind, also when
//! qtop is killed. Nothing outside this folder knows that what it shows is a demo.

mod arq;
mod bullmq;
mod data;
mod error;
mod install;
mod list;
mod server;
mod stream;

use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::domain::described::Described;

pub use error::DemoError;
pub use server::PROGRAMS;

use server::Server;

/// How long seeding may take before the demo gives up.
const SEED_LIMIT: Duration = Duration::from_secs(30);

/// What [`start`] needs to know.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Build a server without asking if none is installed.
    pub yes: bool,
    /// qtop's own data directory; a server that has to be built is kept there for the next time.
    pub data_directory: PathBuf,
    /// Where to look for servers and for cargo, in the format of `PATH`.
    pub search_path: std::ffi::OsString,
}

impl DemoOptions {
    /// As a person's environment has it: `PATH`, and the data directory of this platform.
    pub fn from_environment(yes: bool) -> Self {
        let project = directories::ProjectDirs::from("", "", "qtop");
        let data_directory = project.map_or_else(std::env::temp_dir, |project| project.data_local_dir().to_owned());
        Self { yes, data_directory, search_path: std::env::var_os("PATH").unwrap_or_default() }
    }
}

/// A running demo. Dropping it ends its workers and its server and removes its files.
pub struct Demo {
    url: String,
    described: Described,
    notes: Vec<String>,
    // Before the server, so that workers end first and do not report a lost connection.
    workers: Option<Runtime>,
    server: Server,
}

impl Demo {
    /// Where the demo's Redis can be reached: `redis+unix:///…` or `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the configuration would say about the demo's lists.
    pub fn described(&self) -> &Described {
        &self.described
    }

    /// What the configuration would say about the jobs that qtop runs itself: TOML with a table `[runner]`.
    pub fn pool(&self) -> &'static str {
        arq::POOL
    }

    /// What the person should know, one sentence each: which server runs, what was left out.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Process id of the Redis server, for messages and tests.
    pub fn server_pid(&self) -> u32 {
        self.server.pid()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Some(workers) = self.workers.take() {
            // Waiting for jobs would be pointless: their data is thrown away in the next moment.
            workers.shutdown_background();
        }
    }
}

/// Starts a server, fills it and lets workers loose on it. Prints the progress of a build to standard error.
pub async fn start(options: DemoOptions) -> Result<Demo, DemoError> {
    let program = match server::find(&options) {
        Some(program) => program,
        None => install::install(&options)?,
    };
    let server = Server::start(&program).await?;
    let url = server.url();
    let described = list::described();
    let workers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("qtop-demo")
        .enable_all()
        .build()
        .map_err(DemoError::Runtime)?;
    let mut notes = vec![format!("demo: {} in {}", program.display(), server.directory().display())];
    let filled = tokio::time::timeout(SEED_LIMIT, workers.spawn(fill(url.clone()))).await;
    match filled {
        Ok(Ok(Ok(left_out))) => notes.extend(left_out),
        Ok(Ok(Err(error))) => {
            workers.shutdown_background();
            return Err(error);
        }
        Ok(Err(panicked)) => {
            workers.shutdown_background();
            return Err(DemoError::Seed { what: "queues", cause: panicked.to_string() });
        }
        Err(_) => {
            workers.shutdown_background();
            return Err(DemoError::Slow { limit: SEED_LIMIT });
        }
    }
    Ok(Demo { url, described, notes, workers: Some(workers), server })
}

/// Seeds everything and spawns producers and workers; returns what was left out and why.
async fn fill(url: String) -> Result<Vec<String>, DemoError> {
    bullmq::start(&url).await?;
    list::start(&url).await?;
    arq::start(&url).await?;
    let mut left_out = Vec::new();
    if !stream::start(&url).await? {
        left_out.push("demo: this server has no consumer groups, so the stream is left out".to_owned());
    }
    Ok(left_out)
}

/// A future that is started again a second after it failed, for as long as the demo lives. The server may be gone for
/// a moment, and an interrupted producer must not end the show.
fn keep_alive<F, Work>(name: &'static str, mut work: F)
where
    F: FnMut() -> Work + Send + 'static,
    Work: Future<Output = Result<(), DemoError>> + Send + 'static,
{
    tokio::spawn(async move {
        loop {
            if let Err(error) = work().await {
                tracing::debug!(name, %error, "a part of the demo stopped, starting it again");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
}
