//! The runner's connections: one for control, shared by all pools, and one for each pool that waits (F8).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::engine::Dialer;
use crate::link::{ConnectOptions, Link, LinkError, Purpose, RefusalKind};
use crate::systems::{ReadError, SystemError};

/// A connection is given this long before it may be dropped for leading to the wrong place: what several tasks were
/// refused at once is learnt once, and a fail-over that drags on costs few logins.
const KEPT: Duration = Duration::from_millis(500);
/// First and longest wait before trying again. Short enough to take jobs again within 10 s of the server's return (R7).
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(4));

/// Makes connections and keeps the one for control.
pub struct Wire {
    dial: Dialer,
    /// With the moment it was made.
    control: Mutex<Option<(Link, Instant)>>,
}

impl Wire {
    /// Not connected yet.
    pub fn new(options: ConnectOptions) -> Arc<Self> {
        Arc::new(Self { dial: Dialer::new(options), control: Mutex::default() })
    }

    /// The control connection, made anew if it is gone. Callers wait for one attempt together.
    pub async fn control(&self) -> Result<Link, LinkError> {
        let mut slot = self.control.lock().await;
        if let Some((link, _)) = slot.as_ref().filter(|(link, _)| link.is_usable()) {
            return Ok(link.clone());
        }
        *slot = None;
        let link = self.dial.dial(Purpose::Mutate).await?;
        *slot = Some((link.clone(), Instant::now()));
        Ok(link)
    }

    /// True while the control connection is there, as far as is known without asking.
    pub async fn stands(&self) -> bool {
        self.control.lock().await.as_ref().is_some_and(|(link, _)| link.is_usable())
    }

    /// A connection for waiting, with the id by which the server can be told to end the wait.
    pub async fn waiting(&self) -> Result<(Link, Option<i64>), LinkError> {
        let link = self.dial.dial(Purpose::Claim).await?;
        let id = link.ask(crate::link::cmd("CLIENT").arg("ID").to_owned()).await;
        // Without the id a stop takes until the wait is over by itself.
        let id = id.ok().as_ref().and_then(crate::systems::reply::int);
        Ok((link, id))
    }

    /// Drops the control connection if the error says that it leads to the wrong place (R11).
    pub async fn learn(&self, error: &SystemError) {
        if misled(error) {
            self.control.lock().await.take_if(|(_, made)| made.elapsed() > KEPT);
        }
    }
}

/// True if the roles of the servers must be looked up again.
pub fn misled(error: &SystemError) -> bool {
    refusal(error) == Some(RefusalKind::WrongNode)
}

fn refusal(error: &SystemError) -> Option<RefusalKind> {
    match error {
        SystemError::Link(LinkError::Command(error)) | SystemError::Read(ReadError::Command(error)) => {
            Some(error.kind())
        }
        _ => None,
    }
}

/// True if trying again may help: the connection is at fault, or the server for now.
pub fn passing(error: &SystemError) -> bool {
    match error {
        SystemError::Link(LinkError::Connect { .. } | LinkError::Lost { .. } | LinkError::Timeout { .. }) => true,
        _ => matches!(refusal(error), Some(RefusalKind::Passing | RefusalKind::WrongNode)),
    }
}

/// True if it says something of the server or the way to it, not of one command and its keys.
pub fn of_server(error: &SystemError) -> bool {
    match refusal(error) {
        Some(RefusalKind::Data | RefusalKind::Command) => false,
        Some(_) => true,
        None => matches!(error, SystemError::Link(_)),
    }
}

/// True if the command may have been carried out although no answer came, or none that helps.
pub fn uncertain(error: &SystemError) -> bool {
    match error {
        SystemError::Link(error) => error.may_have_arrived(),
        SystemError::Astray(_) => true,
        _ => false,
    }
}

/// Waits that double, with chance, from 100 ms to 4 s.
pub struct Patience(Duration);

impl Default for Patience {
    fn default() -> Self {
        Self(WAITS.0)
    }
}

impl Patience {
    /// It worked.
    pub fn reset(&mut self) {
        self.0 = WAITS.0;
    }

    /// The wait after one more failure.
    pub fn failed(&mut self) -> Duration {
        let wait = self.0.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.0 = (self.0 * 2).min(WAITS.1);
        wait
    }
}
