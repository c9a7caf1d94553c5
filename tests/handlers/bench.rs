//! One handler with one job, and everything it said.

use std::collections::HashMap;
use std::ffi::OsString;
use std::time::Duration;

use bytes::Bytes;
use qtop::config;
use qtop::domain::ids::{JobId, QueueId};
use qtop::domain::job::Progress;
use qtop::domain::time::Timestamp;
use qtop::engine::runner::handler::{Handler, HandlerError, Helper, Surroundings};
use qtop::engine::runner::work::{EVENTS, Ending, Event, Failure, Outlook, Room, Stream, Work};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longer than any of these jobs may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How a job ended and what it said until then.
#[derive(Debug)]
pub struct Told {
    pub ending: Ending,
    pub events: Vec<Event>,
}

impl Told {
    pub fn output(&self, wanted: Stream) -> Vec<&str> {
        self.all(|event| match event {
            Event::Output { stream, line } if *stream == wanted => Some(line.as_str()),
            _ => None,
        })
    }

    pub fn logs(&self) -> Vec<&str> {
        self.all(|event| if let Event::Log(line) = event { Some(line.as_str()) } else { None })
    }

    pub fn progress(&self) -> Vec<&Progress> {
        self.all(|event| if let Event::Progress(progress) = event { Some(progress) } else { None })
    }

    fn all<'a, T>(&'a self, pick: impl Fn(&'a Event) -> Option<T>) -> Vec<T> {
        self.events.iter().filter_map(pick).collect()
    }

    /// The result as text.
    pub fn result(&self) -> Option<&str> {
        match &self.ending {
            Ending::Done { result } => result.as_ref().map(|json| std::str::from_utf8(json).expect("a result is text")),
            other => panic!("not done: {other:?}, {:?}", self.events),
        }
    }

    /// The failure of an attempt that may be tried again.
    pub fn retried(&self) -> &Failure {
        match &self.ending {
            Ending::Retry { failure, .. } => failure,
            other => panic!("not to be tried again: {other:?}"),
        }
    }

    /// Why it could not be begun.
    pub fn not_started(&self) -> &str {
        match &self.ending {
            Ending::NotStarted { reason } => reason,
            other => panic!("it was started: {other:?}"),
        }
    }

    /// The failure of an attempt that is of no use to try again.
    pub fn failed(&self) -> &Failure {
        match &self.ending {
            Ending::Failed(failure) => failure,
            other => panic!("not failed for good: {other:?}"),
        }
    }
}

pub fn work(payload: impl Into<Bytes>) -> Work {
    Work {
        queue: QueueId::new("list", "", "mail"),
        address: "list:mail".to_owned(),
        id: JobId::from("7"),
        name: "send".to_owned(),
        payload: payload.into(),
        attempt: 2,
        attempts: Some(3),
        created_at: None,
        claimed_at: Timestamp(0),
    }
}

/// The environment of a machine on which Redis is configured.
pub fn surroundings() -> Surroundings {
    let mut variables: HashMap<OsString, OsString> = HashMap::new();
    let path = std::env::var_os("PATH").expect("PATH is set");
    for (name, value) in [("PATH", path), ("LANG", "C.UTF-8".into()), ("HOME", "/".into())] {
        variables.insert(name.into(), value);
    }
    for name in ["QTOP_URL", "REDIS_URL", "REDIS_PASSWORD", "REDISCLI_AUTH", "AWS_SECRET_ACCESS_KEY"] {
        variables.insert(name.into(), "redis://:s3cret@h".into());
    }
    let helper = Some(Helper::new(env!("CARGO_BIN_EXE_qtop").into()));
    Surroundings { variables, helper, ..Surroundings::of_process() }
}

pub fn settings(text: &str) -> config::Handler {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub fn try_build(text: &str) -> Result<Handler, HandlerError> {
    Handler::build(&settings(text), &surroundings())
}

pub fn build(text: &str) -> Handler {
    try_build(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A handler that runs a shell script; what the script is given comes through its arguments or its standard input.
pub fn shell(script: &str, more: &str) -> Handler {
    let script = script.replace('{', "{{").replace('}', "}}");
    build(&format!("command = [\"sh\", \"-c\", {}]\n{more}", toml::Value::from(script)))
}

pub fn room(timeout: Option<Duration>) -> (Room, mpsc::Receiver<Event>, CancellationToken) {
    let (events, reader) = mpsc::channel(EVENTS);
    let cancel = CancellationToken::new();
    let outlook = Outlook { again: Some(Duration::ZERO), asked: true, late: true };
    (Room { outlook, ..Room::new(events, cancel.clone(), timeout) }, reader, cancel)
}

/// Runs one job to its end and reads everything it says.
pub async fn run_in(handler: &Handler, work: &Work, timeout: Option<Duration>) -> Told {
    let (room, mut reader, _) = room(timeout);
    let read = async {
        let mut events = Vec::new();
        while let Some(event) = reader.recv().await {
            events.push(event);
        }
        events
    };
    let both = async { tokio::join!(handler.handle(work, room), read) };
    let (ending, events) = tokio::time::timeout(LIMIT, both).await.expect("the job ends in time");
    Told { ending, events }
}

pub async fn run(handler: &Handler, payload: impl Into<Bytes>) -> Told {
    run_in(handler, &work(payload), None).await
}
