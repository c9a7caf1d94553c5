//! Putting back what the trash holds.

use std::collections::HashMap;

use crate::domain::ids::{Name, QueueId};
use crate::domain::mutation::Outcome;
use crate::domain::record::{Place, Record};
use crate::domain::state::{StateKind, StateSpec};

use super::audit::{Audit, Counts, Entry, operator};
use super::run::new_run;
use super::trash::{Item, Standing, Trash};
use super::{ChangeError, Places};
use crate::systems::System;

use super::piece::Desk;

/// Records put back by one call.
const CALL: usize = 50;

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
/// Pieces come back in the reverse of the order in which they were deleted: each was read when those before it were
/// gone already, so its neighbours in lists and its families are as they were then. The trash file stays until every
/// record of it is back, so that what was refused can be tried again; what was sent is noted beside it, so that an undo
/// that was interrupted puts nothing back twice.
pub async fn undo(
    desk: &mut Desk,
    systems: &[std::sync::Arc<dyn System>],
    places: &Places,
    server: &str,
    token: Option<&str>,
) -> Result<Undone, ChangeError> {
    let trash = Trash::new(places);
    let Item { token, header, files, .. } = match token {
        Some(token) => trash.find(token)?,
        None => trash.newest(server)?,
    };
    let damaged = |what: String| ChangeError::Damaged { path: places.state.join("trash").join(&token), what };
    if header.server != server {
        return Err(damaged(format!("it belongs to the server {:?}, not to {server:?}", header.server)));
    }
    let names: Vec<&'static str> = systems.iter().map(|system| system.spec().name).collect();
    let queue = header.queue_id(&names).ok_or_else(|| damaged("its queue's system is not known".to_owned()))?;
    let system = systems
        .iter()
        .find(|system| system.spec().name == queue.instance.system)
        .expect("the queue's system is one of these");
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
    let mut error = None;
    for file in &files {
        if let Err(stopped) = put_back(desk, &**system, &queue, &trash, file, &mut outcome).await {
            error = Some(stopped);
            break;
        }
    }
    audit.write(&Entry {
        time: jiff::Timestamp::now().to_string(),
        phase: if error.is_some() { "failed" } else { "done" }.to_owned(),
        count: (outcome.done.len() + outcome.refused.len()) as u64,
        outcome: Some(Counts {
            done: outcome.done.len() as u64,
            refused: outcome.refused.len() as u64,
            unknown: outcome.unknown.len() as u64,
        }),
        error: error.as_ref().map(ToString::to_string),
        ..entry
    })?;
    match error {
        Some(error) => Err(error),
        None => Ok(Undone { token, queue, outcome }),
    }
}

/// Puts back what one file holds.
async fn put_back(
    desk: &mut Desk,
    system: &dyn System,
    queue: &QueueId,
    trash: &Trash,
    file: &str,
    outcome: &mut Outcome,
) -> Result<(), ChangeError> {
    let mut pieces = trash.open(file)?.pieces()?;
    let mut sent = trash.sent(file)?;
    let mut whole = true;
    let mut number = 0;
    for turn in 0..pieces.count() {
        let index = if system.only_appends() { turn } else { pieces.count() - 1 - turn };
        let records = in_order(pieces.read(index)?, system.spec().states);
        for call in records.chunks(CALL) {
            let standing = sent.standing(number);
            if standing != Standing::Back {
                sent.call(number)?;
                let link = desk.link().await.map_err(crate::systems::SystemError::from)?;
                let one = system.restore(&link, queue, call, standing == Standing::Perhaps).await?;
                if one.refused.is_empty() && one.unknown.is_empty() {
                    sent.back(number)?;
                } else {
                    whole = false;
                }
                outcome.absorb(one);
            }
            number += 1;
        }
    }
    // The files are held until here.
    drop((pieces, sent));
    if whole { trash.discard_file(file) } else { Ok(()) }
}

/// The order in which the records of one piece, which were read together, come back.
///
/// Jobs that wait for others come first, so that no child runs before its parent is there. An element of a list comes
/// after its neighbour towards the tail; for where that neighbour has gone, the one towards the head is set to the
/// nearest that does not come back itself.
fn in_order(records: Vec<Record>, states: &[StateSpec]) -> Vec<Record> {
    let blocked =
        |record: &Record| states.iter().any(|state| Some(state.id) == record.state && state.kind == StateKind::Blocked);
    let (mut ordered, mut rest): (Vec<Record>, Vec<Record>) = records.into_iter().partition(blocked);
    let mut holders: HashMap<(Name, Name), usize> = HashMap::new();
    for (index, record) in rest.iter().enumerate() {
        if let Some((key, element, _, _)) = listed(record) {
            holders.insert((key.clone(), element.clone()), index);
        }
    }
    let lefts: Vec<Option<Name>> = rest.iter().map(|record| outer_left(record, &rest, &holders)).collect();
    let mut turn = Vec::with_capacity(rest.len());
    let mut taken = vec![false; rest.len()];
    for start in 0..rest.len() {
        let mut chain = Vec::new();
        let mut next = Some(start);
        while let Some(index) = next.filter(|index| !taken[*index]) {
            taken[index] = true;
            chain.push(index);
            next = listed(&rest[index])
                .and_then(|(key, _, right, _)| holders.get(&(key.clone(), right?.clone())).copied());
        }
        turn.extend(chain.into_iter().rev());
    }
    for (record, outer) in rest.iter_mut().zip(lefts) {
        if let Some(Place::List { left, .. }) =
            record.places.iter_mut().find(|place| matches!(place, Place::List { .. }))
        {
            *left = outer;
        }
    }
    let mut rest: Vec<Option<Record>> = rest.into_iter().map(Some).collect();
    ordered.extend(turn.into_iter().filter_map(|index| rest[index].take()));
    ordered
}

/// Key, element, right and left neighbour of a record that stands in a list.
fn listed(record: &Record) -> Option<(&Name, &Name, Option<&Name>, Option<&Name>)> {
    record.places.iter().find_map(|place| match place {
        Place::List { key, element, right, left } => Some((key, element, right.as_ref(), left.as_ref())),
        _ => None,
    })
}

/// The nearest element towards the head that is none of `records`.
fn outer_left(record: &Record, records: &[Record], holders: &HashMap<(Name, Name), usize>) -> Option<Name> {
    let (key, _, _, mut left) = listed(record)?;
    // Equal elements could lead round in a circle.
    for _ in 0..records.len() {
        let Some(index) = left.and_then(|left| holders.get(&(key.clone(), left.clone()))) else { break };
        left = listed(&records[*index]).and_then(|(_, _, _, left)| left);
    }
    left.cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::state::StateId;

    const STATES: &[StateSpec] = &[
        StateSpec::new("waiting", "Waiting", StateKind::Waiting, 'w'),
        StateSpec::new("parent", "Parent", StateKind::Blocked, 'p'),
    ];

    fn in_list(id: &str, left: Option<&str>, right: Option<&str>) -> Record {
        let (right, left) = (right.map(Name::from), left.map(Name::from));
        let place = Place::List { key: "l".into(), element: id.into(), right, left };
        Record { id: id.into(), state: Some(StateId("waiting")), keys: Vec::new(), places: vec![place] }
    }

    fn told(records: &[Record]) -> Vec<(String, Option<String>)> {
        let left = |record: &Record| listed(record).and_then(|(_, _, _, left)| left.map(Name::to_text));
        records.iter().map(|record| (record.id.to_text(), left(record))).collect()
    }

    #[test]
    fn neighbours_towards_the_tail_come_back_first_whatever_the_order_of_deletion() {
        // The list is s a b c with c at the tail; s stays.
        let piece =
            vec![in_list("b", Some("a"), Some("c")), in_list("a", Some("s"), Some("b")), in_list("c", Some("b"), None)];
        let s = || Some("s".to_owned());
        assert_eq!(
            told(&in_order(piece, STATES)),
            [("c".to_owned(), s()), ("b".to_owned(), s()), ("a".to_owned(), s())]
        );
    }

    #[test]
    fn parents_come_back_before_their_children() {
        let mut parent = in_list("p", None, None);
        (parent.state, parent.places) = (Some(StateId("parent")), Vec::new());
        let ordered = in_order(vec![in_list("c", None, None), parent], STATES);
        assert_eq!(told(&ordered), [("p".to_owned(), None), ("c".to_owned(), None)]);
    }

    #[test]
    fn equal_elements_come_to_an_end() {
        let piece = vec![in_list("x", Some("x"), Some("x")), in_list("x", Some("x"), None)];
        assert_eq!(in_order(piece, STATES).len(), 2);
    }
}
