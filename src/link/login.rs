//! The first words on a new connection: who qtop is, which database, and what the connection is called (P12).

use redis::cmd;
use std::time::Duration;

use super::batch::{Batch, Replies, Reply};
use super::error::{CommandError, ConnectFailure, ConnectStep, LinkError, RefusalKind};
use super::send::Link;
use super::socket::End;
use super::step::StepNote;
use crate::domain::secret::Secret;

/// User, password and database.
pub(super) struct Credentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) db: u32,
    /// Longest wait for the answers.
    pub(super) limit: Duration,
}

/// Logs in, in one round trip. Whatever is not needed to read queues may be refused.
pub(super) async fn log_in(link: Link, credentials: &Credentials, step: &StepNote) -> Result<Link, ConnectFailure> {
    step.set(ConnectStep::Login);
    let username = credentials.username.as_deref().filter(|_| credentials.password.is_some());
    match introduce(&link, username, credentials).await {
        // Before Redis 6 there were no users, yet some providers' URLs name one: `redis://h:password@host`.
        Err(ConnectFailure::Login(CommandError::Refused { code, detail }))
            if username.is_some() && code == "ERR" && detail.contains("wrong number of arguments") =>
        {
            introduce(&link, None, credentials).await?;
        }
        result => result?,
    }
    Ok(link)
}

async fn introduce(link: &Link, username: Option<&str>, credentials: &Credentials) -> Result<(), ConnectFailure> {
    let mut batch = Batch::new();
    let needed = batch.section(|batch| {
        if let Some(password) = &credentials.password {
            let mut auth = cmd("AUTH");
            if let Some(username) = username {
                auth.arg(username);
            }
            auth.arg(password.expose());
            batch.ask(auth);
        }
        if credentials.db != 0 {
            let mut select = cmd("SELECT");
            select.arg(credentials.db);
            batch.ask(select);
        }
    });
    let wished = batch.section(|batch| {
        let mut client = |words: &[&str]| {
            let mut command = cmd("CLIENT");
            command.arg(words);
            batch.ask(command);
        };
        client(&["SETNAME", &client_name()]);
        client(&["NO-EVICT", "ON"]);
        client(&["NO-TOUCH", "ON"]);
        client(&["SETINFO", "LIB-NAME", env!("CARGO_PKG_NAME")]);
        client(&["SETINFO", "LIB-VER", env!("CARGO_PKG_VERSION")]);
    });
    let replies: Vec<Reply> = link.send_within(&batch, credentials.limit).await.map_err(|error| lost(link, error))?;
    let mut answers = Replies::section(&replies, &needed);
    while answers.left() > 0 {
        answers.next().map_err(ConnectFailure::Login)?;
    }
    let mut answers = Replies::section(&replies, &wished);
    while answers.left() > 0 {
        match answers.next() {
            // Not logged in: nothing else will work either.
            Err(refusal) if refusal.kind() == RefusalKind::Login => return Err(ConnectFailure::Login(refusal)),
            Err(refusal) => tracing::debug!(target = link.target(), %refusal, "the server does without"),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// What a broken connection means during the login.
pub(super) fn lost(link: &Link, error: LinkError) -> ConnectFailure {
    match (error, link.end()) {
        (_, Some(End::Tls(failure))) => ConnectFailure::Tls(failure),
        (LinkError::Lost { .. }, Some(End::Closed)) => ConnectFailure::Closed,
        // A plain connection to a TLS port is often reset rather than closed.
        (LinkError::Lost { .. }, Some(End::Reset)) => ConnectFailure::Closed,
        (LinkError::Lost { cause, .. }, _) => ConnectFailure::Other(cause),
        (LinkError::Timeout { limit, .. }, _) => ConnectFailure::Timeout { step: ConnectStep::Login, limit },
        (LinkError::Command(refusal), _) => ConnectFailure::Login(refusal),
        (error, _) => ConnectFailure::Other(error.to_string()),
    }
}

/// `qtop:<user>@<host>:<pid>`, by which an administrator finds the person, and qtops each other (P12, P18).
pub fn client_name() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    compose_name(user.as_deref().unwrap_or("unknown"), &host, std::process::id())
}

/// The server takes visible ASCII only.
fn compose_name(user: &str, host: &str, pid: u32) -> String {
    let clean = |text: &str| -> String {
        text.chars().take(64).map(|char| if char.is_ascii_graphic() { char } else { '_' }).collect()
    };
    format!("qtop:{}@{}:{pid}", clean(user), clean(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p12_the_name_says_who_and_is_always_allowed() {
        assert_eq!(compose_name("ann", "box", 7), "qtop:ann@box:7");
        assert_eq!(compose_name("Ä b\n", "h", 7), "qtop:__b_@h:7");
        let own = client_name();
        assert!(own.starts_with("qtop:") && own.ends_with(&std::process::id().to_string()), "{own}");
        assert!(own.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}
