//! Finding the primary of a group that Sentinels watch.

use std::sync::Arc;

use redis::{Value, cmd};

use super::address::Node;
use super::connect::open_tcp;
use super::error::ConnectFailure;
use super::login::{Credentials, log_in, lost};
use super::options::{ConnectOptions, Purpose};
use super::send::Link;
use super::step::StepNote;

/// Asks the Sentinels in order for the primary; the first that knows it is believed.
///
/// `SENTINEL GET-MASTER-ADDR-BY-NAME` answers with host and port, or nil for a group it does not watch.
pub(super) async fn find_primary(
    sentinels: &[Node],
    group: &str,
    login: &Credentials,
    tls: bool,
    options: &ConnectOptions,
    step: &StepNote,
) -> Result<Node, ConnectFailure> {
    let mut tried = Vec::new();
    for sentinel in sentinels {
        match ask_one(sentinel, group, login, tls, options, step).await {
            Ok(Some(node)) => return Ok(node),
            Ok(None) => tried.push(format!("{sentinel} does not watch {group:?}")),
            Err(failure) => tried.push(format!("{sentinel}: {failure}")),
        }
    }
    Err(ConnectFailure::Sentinel(format!("no Sentinel named a primary ({})", tried.join("; "))))
}

async fn ask_one(
    sentinel: &Node,
    group: &str,
    login: &Credentials,
    tls: bool,
    options: &ConnectOptions,
    step: &StepNote,
) -> Result<Option<Node>, ConnectFailure> {
    let raw = open_tcp(sentinel, tls, options, Purpose::Fetch, Arc::default(), step).await?;
    let link = Link::new(raw, sentinel.to_string(), String::new(), options, Purpose::Fetch);
    let link = log_in(link, login, step).await?;
    let mut question = cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(group);
    let answer = link.ask(question).await.map_err(|error| lost(&link, error))?;
    let Value::Array(parts) = answer else {
        return Ok(None);
    };
    match parts.as_slice() {
        [Value::BulkString(host), Value::BulkString(port)] => {
            let port = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok());
            let host = String::from_utf8(host.clone()).ok();
            Ok(host.zip(port).map(|(host, port)| Node { host, port }))
        }
        _ => Ok(None),
    }
}

/// A Sentinel may be behind: the server itself must say that it is the primary.
pub(super) async fn confirm_primary(link: Link, group: &str) -> Result<Link, ConnectFailure> {
    match link.ask(cmd("ROLE")).await {
        Ok(Value::Array(parts)) => match parts.first() {
            Some(Value::BulkString(role)) if role != b"master" => Err(ConnectFailure::Sentinel(format!(
                "{} is not the primary of {group:?} any more; a failover may be going on",
                link.target()
            ))),
            _ => Ok(link),
        },
        // The user may not ask for the role: the Sentinel's word has to do.
        _ if link.is_usable() => Ok(link),
        Ok(_) => Ok(link),
        Err(error) => Err(lost(&link, error)),
    }
}
