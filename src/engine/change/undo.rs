//! Putting back what the trash holds.

use crate::domain::ids::QueueId;
use crate::domain::mutation::Outcome;

use super::audit::{Audit, Counts, Entry, operator};
use super::run::new_run;
use super::trash::Trash;
use super::{ChangeError, Places};
use crate::systems::System;

use super::piece::Desk;

/// Records put back by one call.
const PIECE: usize = 50;

/// What an undo did.
#[derive(Debug)]
pub struct Undone {
    /// The token.
    pub token: String,
    /// Where the jobs went.
    pub queue: QueueId,
    /// What became of each.
    pub outcome: Outcome,
}

/// Puts a change's deleted jobs back in state and order. `token`: `None` is the newest of `server`.
///
/// The trash file stays until every record of it is back, so that what was refused can be tried again.
pub async fn undo(
    desk: &mut Desk,
    systems: &[std::sync::Arc<dyn System>],
    places: &Places,
    server: &str,
    token: Option<&str>,
) -> Result<Undone, ChangeError> {
    let trash = Trash::new(places);
    let newest;
    let token = match token {
        Some(token) => token,
        None => {
            let found = trash.list()?.into_iter().find(|item| item.header.server == server);
            newest = found.ok_or_else(|| ChangeError::NoToken("newest".to_owned()))?.token;
            newest.as_str()
        }
    };
    let (token, mut reader) = trash.open(Some(token))?;
    let damaged =
        |what: &str| ChangeError::Damaged { path: places.state.join("trash").join(&token), what: what.into() };
    if reader.header.server != server {
        let what = format!("it belongs to the server {:?}, not to {server:?}", reader.header.server);
        return Err(damaged(&what));
    }
    let names: Vec<&'static str> = systems.iter().map(|system| system.spec().name).collect();
    let queue = reader.header.queue_id(&names).ok_or_else(|| damaged("its queue's system is not known"))?;
    let system = systems
        .iter()
        .find(|system| system.spec().name == queue.instance.system)
        .ok_or_else(|| damaged("its queue's system is not known"))?;
    let audit = Audit::new(places);
    let (operator, host) = operator();
    let entry = Entry {
        run: new_run(),
        time: jiff::Timestamp::now().to_string(),
        phase: "begun".to_owned(),
        operator,
        host,
        server: server.to_owned(),
        queue: queue.full_address(),
        action: "undo".to_owned(),
        ids: vec![token.clone()],
        count: 0,
        outcome: None,
        undo: None,
        error: None,
    };
    audit.write(&entry)?;
    let mut outcome = Outcome::default();
    loop {
        let records = reader.next(PIECE);
        if records.is_empty() {
            break;
        }
        let link = desk.link().await.map_err(crate::systems::SystemError::from)?;
        outcome.absorb(system.restore(&link, &queue, &records).await?);
    }
    if outcome.refused.is_empty() && outcome.unknown.is_empty() {
        trash.discard(&token)?;
    }
    audit.write(&Entry {
        time: jiff::Timestamp::now().to_string(),
        phase: "done".to_owned(),
        count: (outcome.done.len() + outcome.refused.len()) as u64,
        outcome: Some(Counts {
            done: outcome.done.len() as u64,
            refused: outcome.refused.len() as u64,
            unknown: outcome.unknown.len() as u64,
        }),
        ..entry
    })?;
    Ok(Undone { token, queue, outcome })
}
