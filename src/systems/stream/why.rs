//! Why a group, or one entry of a stream, does not move.

use super::detail::{Spot, spot};
use super::info::{Consumer, Group};
use super::names::{EntryId, Place};
use super::read;
use super::sample::{LIVE, STUCK};
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::queue::Severity;
use crate::domain::reason::Reason;
use crate::domain::text::age;
use crate::link::Link;
use crate::systems::SystemError;

fn reason(severity: Severity, code: &'static str, text: impl Into<String>, evidence: impl Into<String>) -> Reason {
    Reason { severity, code, text: text.into(), evidence: evidence.into(), remedy: None }
}

/// Reasons that hold for a group as a whole, the most likely first.
pub async fn queue(link: &Link, queue: &QueueId) -> Result<Vec<Reason>, SystemError> {
    let place = Place::parse(&queue.name);
    let stream = Name::from(place.stream.as_slice());
    let Some(group) = read::group(link, &place).await? else {
        let groups = read::groups(link, &place.stream).await?.len();
        if groups > 0 {
            let text = format!("the stream has {groups} groups; each is a queue of its own");
            return Ok(vec![reason(Severity::Info, "fine", text, format!("XINFO GROUPS {stream}"))]);
        }
        let text = "no consumer group reads it; whether anybody reads it without one cannot be known";
        return Ok(vec![reason(Severity::Info, "no_group", text, format!("XINFO GROUPS {stream}"))]);
    };
    let consumers = read::consumers(link, &place.stream, &group.name).await?;
    let waiting = waiting(link, &place, &group).await?;
    let mut reasons = consumer_reasons(&stream, &group, &consumers, waiting);
    if group.lag.is_none() {
        let text =
            "the server cannot tell how many entries wait: entries were deleted, or the position was set by hand";
        reasons.push(reason(Severity::Info, "lag_unknown", text, format!("XINFO GROUPS {stream}: lag is nil")));
    }
    if reasons.is_empty() {
        let text = if waiting { "nothing speaks against it" } else { "nothing waits" };
        let lag = group.lag.map_or("unknown".to_owned(), |lag| lag.to_string());
        let evidence = format!("XINFO GROUPS {stream}: lag {lag}, pending {}", group.pending);
        reasons.push(reason(Severity::Info, "fine", text, evidence));
    }
    Ok(reasons)
}

async fn waiting(link: &Link, place: &Place, group: &Group) -> Result<bool, SystemError> {
    match group.lag {
        Some(lag) => Ok(lag > 0),
        None => Ok(!read::range(link, &place.stream, group.last_delivered.after(), 1).await?.is_empty()),
    }
}

fn consumer_reasons(stream: &Name, group: &Group, consumers: &[Consumer], waiting: bool) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let name = Name::from(group.name.as_slice());
    let evidence = format!("XINFO CONSUMERS {stream} {name}");
    let stuck: Vec<_> = consumers.iter().filter(|one| one.pending > 0 && one.idle >= STUCK).collect();
    let silent = consumers.iter().all(|one| one.idle >= LIVE);
    if waiting && consumers.is_empty() {
        let text = "no consumer has ever taken an entry of this group";
        let mut missing = reason(Severity::Critical, "no_workers", text, evidence.clone());
        missing.remedy = Some("start a consumer".to_owned());
        reasons.push(missing);
    } else if waiting && silent {
        let least = consumers.iter().map(|one| one.idle).min().unwrap_or_default();
        let busy = consumers.iter().filter(|one| one.pending > 0).count();
        if busy == consumers.len() {
            let text = format!("all {busy} consumers hold entries and have taken none for {}", age(least));
            reasons.push(reason(Severity::Warn, "all_busy", text, evidence.clone()));
        } else {
            let text = format!("entries wait, but no consumer has taken one for {}", age(least));
            reasons.push(reason(Severity::Critical, "no_workers", text, evidence.clone()));
        }
    }
    if let Some(longest) = stuck.iter().map(|one| one.idle).max() {
        let held: u64 = stuck.iter().map(|one| one.pending).sum();
        let names: Vec<String> = stuck.iter().take(3).map(|one| Name::from(one.name.as_slice()).to_text()).collect();
        let text =
            format!("{held} entries are held by silent consumers ({}), up to {}", names.join(", "), age(longest));
        let mut held = reason(Severity::Warn, "stuck_pending", text, evidence);
        held.remedy = Some("if they are gone, another consumer must claim the entries (XAUTOCLAIM)".to_owned());
        reasons.push(held);
    }
    reasons
}

/// Reasons for one entry.
pub async fn job(link: &Link, of: &QueueId, id: &JobId) -> Result<Vec<Reason>, SystemError> {
    let place = Place::parse(&of.name);
    let stream = Name::from(place.stream.as_slice());
    let found = match EntryId::parse(id.as_bytes()) {
        Some(id) => spot(link, &place, id).await?,
        None => None,
    };
    let Some((spot, group)) = found else {
        let text = "there is no such entry: it was deleted or trimmed, or never there";
        return Ok(vec![reason(Severity::Warn, "in_no_list", text, format!("XRANGE {stream} {id} {id}"))]);
    };
    Ok(match spot {
        Spot::Waiting(_) => {
            let mut reasons = queue(link, of).await?;
            reasons.retain(|reason| reason.code != "fine");
            let last = group.map(|group| group.last_delivered.to_string()).unwrap_or_default();
            let evidence = format!("the group was given everything up to {last}");
            reasons.push(reason(Severity::Info, "waiting", "it has not been delivered to the group yet", evidence));
            reasons
        }
        Spot::Pending(pending, entry) => {
            let consumer = Name::from(pending.consumer.as_slice());
            let evidence = format!("XPENDING {stream}: {consumer}, idle {}", age(pending.idle));
            let mut reasons = Vec::new();
            if entry.is_none() {
                let text = "its body was deleted or trimmed; whoever claims it gets nothing";
                reasons.push(reason(Severity::Warn, "record_gone", text, format!("XRANGE {stream} {id} {id}")));
            }
            let times = pending.deliveries;
            let text =
                format!("{consumer} has it since {} and has not acknowledged it, delivery {times}", age(pending.idle));
            let (severity, code) =
                if pending.idle >= STUCK { (Severity::Warn, "stuck_pending") } else { (Severity::Info, "running") };
            reasons.push(reason(severity, code, text, evidence));
            reasons
        }
        Spot::Done(_) if group.is_some() => {
            let text = "the group was given it and has acknowledged it; it stays in the stream until that is trimmed";
            vec![reason(Severity::Info, "fine", text, format!("not in XPENDING {stream}"))]
        }
        Spot::Done(_) => {
            let text = "no consumer group reads this stream";
            vec![reason(Severity::Info, "no_group", text, format!("XINFO GROUPS {stream}"))]
        }
        Spot::Dead(_) => {
            let text = "it was given up: nobody takes it from there by itself";
            vec![reason(Severity::Warn, "dead", text, format!("it lies in {}", Name::from(place.dead())))]
        }
    })
}
