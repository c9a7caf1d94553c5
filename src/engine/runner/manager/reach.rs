//! Before the first job: the server must be there, and must not be one that drops keys.

use std::pin::pin;
use std::sync::Arc;

use super::super::error::RunnerError;
use super::super::wire::Patience;
use super::{Manager, Told};
use crate::domain::runner::RunnerState;
use crate::link::{Link, LinkError, cmd};
use crate::systems::reply;

impl Manager {
    /// Waits for the server, and asks whether it may be worked on (R18). False if stopped before.
    pub(super) async fn reach(&mut self, told: &mut Told) -> Result<bool, RunnerError> {
        let mut patience = Patience::default();
        while self.needs_check {
            if told.is_over() {
                return Ok(false);
            }
            let wire = Arc::clone(&self.common.wire);
            let mut answer = pin!(async move { eviction(&wire.control().await?).await });
            let result = loop {
                tokio::select! {
                    result = &mut answer => break result,
                    order = told.order() => match order {
                        Some(order) => {
                            self.obey(order, told);
                            self.show(told, self.first_word());
                        }
                        None => return Ok(false),
                    }
                }
            };
            match result {
                Ok(Some(policy)) if !self.runner.allow_eviction => return Err(RunnerError::Eviction { policy }),
                Ok(Some(policy)) => {
                    self.problem = Some(format!("the server may evict jobs: maxmemory-policy is {policy}"));
                    self.needs_check = false;
                }
                Ok(None) => self.needs_check = false,
                Err(error) if error.is_configuration() => return Err(error.into()),
                Err(error) => {
                    if self.problem.is_none() {
                        tracing::warn!(%error, "the runner waits for the server");
                    }
                    self.problem = Some(error.to_string());
                    self.show(told, self.first_word());
                    let mut pause = pin!(tokio::time::sleep(patience.failed()));
                    loop {
                        tokio::select! {
                            () = &mut pause => break,
                            order = told.order() => match order {
                                Some(order) => {
                                    self.obey(order, told);
                                    self.show(told, self.first_word());
                                }
                                None => return Ok(false),
                            }
                        }
                    }
                }
            }
            if !self.needs_check && self.problem.as_deref().is_some_and(|text| !text.contains("maxmemory-policy")) {
                self.problem = None;
            }
        }
        Ok(true)
    }

    /// The same before the server was reached: no pool has begun.
    fn first_word(&self) -> RunnerState {
        if self.resting { RunnerState::Asleep } else { RunnerState::Starting }
    }
}

/// The policy by which the server drops keys when its memory is full, if it drops any.
async fn eviction(link: &Link) -> Result<Option<String>, LinkError> {
    let info = match link.ask(cmd("INFO").arg("memory").to_owned()).await {
        Ok(info) => info,
        // A server that does not tell is not held to be unsafe.
        Err(LinkError::Command(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = reply::text(&info).unwrap_or_default();
    let policy = text.lines().find_map(|line| line.strip_prefix("maxmemory_policy:")).map(str::trim);
    Ok(policy.filter(|policy| *policy != "noeviction").map(str::to_owned))
}
