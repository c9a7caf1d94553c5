//! One `[[runner.pool.handler]]`: which jobs it takes and what is run for them. Types and meaning checks only; programs,
//! certificates and addresses are looked for when the runner starts.

mod check;
mod http;
mod sign;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::runner::{Dedup, Retry};
use super::values;
use crate::domain::address::glob;
use crate::domain::described::Paths;

pub use check::{HandlerProblem, check_handler};
pub use http::{Headers, Http, StatusCall};
pub use sign::{Sign, StatusClass};

/// What runs the jobs of a pool whose names match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Handler {
    /// Globs over the names of jobs; one that matches is enough.
    #[serde(rename = "match")]
    pub matches: Paths,
    /// A program that is started for every job: its name and arguments, with placeholders in the arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// A program that is started once and takes many jobs as lines of JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Vec<String>>,
    /// A service to which the job is delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// Longest time an attempt at its jobs may take; `None`: as the pool says.
    #[serde(with = "values::optional_time", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Attempts at its jobs and the waits between them, in place of the pool's table; `None`: as the pool says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// One of its jobs that has killed its worker so often is given up (R15); `None`: as the pool says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_crashes: Option<u32>,
    /// Its jobs with the same key run once in a time; `None`: as the pool says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedup: Option<Dedup>,
    /// What a program finds on its standard input.
    #[serde(skip_serializing_if = "is_default")]
    pub input: Input,
    /// Environment variables of the program, beside the allowed ones of qtop's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Names of further variables that the program may have from qtop's environment (S9).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pass_env: Vec<String>,
    /// Exit codes that mean success; `None`: 0 alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_codes: Option<Vec<u8>>,
    /// Failures that may pass: exit codes, statuses, or texts found in the message. Comes before `fail_on`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retry_on: Vec<Sign>,
    /// Failures that stay: trying again is of no use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fail_on: Vec<Sign>,
    /// Time between asking a program to end and killing it.
    #[serde(with = "values::optional_time", skip_serializing_if = "Option::is_none")]
    pub kill_after: Option<Duration>,
    /// Most memory each process of a program may use, in bytes of its data segment.
    #[serde(with = "values::optional_size", skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Most processor time each process of a program may use.
    #[serde(with = "values::optional_time", skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Duration>,
    /// How much a program steps back behind others, 0 to 19.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<u8>,
    /// Folder in which the working folders of jobs are made; `None`: the system's folder for temporary files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scratch: Option<PathBuf>,
    /// When the working folder of a job stays.
    #[serde(skip_serializing_if = "is_default")]
    pub keep: Keep,
    /// Longest result that is taken, in bytes.
    #[serde(with = "values::optional_size", skip_serializing_if = "Option::is_none")]
    pub max_result: Option<u64>,
    /// `process`: jobs after which a child is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_jobs: Option<u64>,
    /// `process`: age at which a child is replaced, after the job it has.
    #[serde(with = "values::optional_time", skip_serializing_if = "Option::is_none")]
    pub max_time: Option<Duration>,
    /// `process`: resident memory above which a child is replaced, after the job it has.
    #[serde(with = "values::optional_size", skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<u64>,
}

impl Default for Handler {
    fn default() -> Self {
        Self {
            matches: Paths::from("*"),
            command: None,
            process: None,
            http: None,
            timeout: None,
            retry: None,
            max_crashes: None,
            dedup: None,
            input: Input::default(),
            env: BTreeMap::new(),
            pass_env: Vec::new(),
            success_codes: None,
            retry_on: Vec::new(),
            fail_on: Vec::new(),
            kill_after: None,
            memory: None,
            cpu: None,
            nice: None,
            scratch: None,
            keep: Keep::default(),
            max_result: None,
            max_jobs: None,
            max_time: None,
            max_memory: None,
        }
    }
}

/// What a program of `command` finds on its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// One line of JSON: id, name, queue, attempt, attempts and data.
    #[default]
    Json,
    /// The exact bytes of the job's data.
    Data,
    /// Nothing.
    None,
}

/// When the working folder of a job stays after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Never.
    #[default]
    Never,
    /// When the job did not succeed.
    OnFailure,
    /// Always.
    Always,
}

impl Handler {
    /// True if jobs of this name are for this handler.
    pub fn takes(&self, name: &str) -> bool {
        self.globs().any(|pattern| glob(&pattern, name))
    }

    /// All globs. PHP's names of classes are full of backslashes, which a glob takes for something else, so a pattern
    /// with some holds also as it is written.
    pub fn globs(&self) -> impl Iterator<Item = String> {
        let written = |pattern: &str| pattern.contains('\\').then(|| pattern.replace('\\', "\\\\"));
        self.matches.iter().flat_map(move |pattern| [Some(pattern.to_owned()), written(pattern)]).flatten()
    }

    /// Makes its paths absolute: `absolute` knows what they are relative to. The name of a program is a path if there is
    /// a slash in it.
    pub fn resolve(&mut self, absolute: &dyn Fn(&Path) -> PathBuf) {
        for argv in [&mut self.command, &mut self.process].into_iter().flatten() {
            if let Some(program) = argv.first_mut().filter(|program| program.contains('/'))
                && let Some(path) = absolute(Path::new(program.as_str())).to_str()
            {
                *program = path.to_owned();
            }
        }
        if let Some(scratch) = &mut self.scratch {
            *scratch = absolute(scratch);
        }
        if let Some(Http { cert, key, ca, .. }) = &mut self.http {
            for path in [cert, key, ca].into_iter().flatten() {
                *path = absolute(path);
            }
        }
    }

    /// What it is, for a list: `command run-workflow`, `POST https://host/path`.
    pub fn label(&self) -> String {
        let program = |argv: &[String]| {
            let path = argv.first().map(String::as_str).unwrap_or_default();
            path.rsplit('/').next().unwrap_or_default().to_owned()
        };
        match (&self.command, &self.process, &self.http) {
            (Some(argv), _, _) => format!("command {}", program(argv)),
            (_, Some(argv), _) => format!("process {}", program(argv)),
            (_, _, Some(http)) => format!("{} {}", http.method, http.url.split('?').next().unwrap_or_default()),
            _ => "nothing".to_owned(),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
