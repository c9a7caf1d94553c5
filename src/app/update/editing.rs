//! Payloads and new jobs in the person's editor. What was typed is never lost: a text that cannot be used opens again
//! with the next try.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ask, fetch, input, notice};
use crate::app::actions::ActionId;
use crate::app::changes::Editing;
use crate::app::effect::Effect;
use crate::app::intent;
use crate::app::question::{Deed, Draft, Question};
use crate::app::state::{Overlay, State};
use crate::domain::change::Scope;
use crate::domain::fetch::{FetchError, Fetched};
use crate::domain::ids::{JobId, QueueId, Ticket};
use crate::domain::mutation::{Change, NewJob, Verb, without_added_newline};
use crate::domain::text::span_of;

/// Largest payload that is edited.
const MOST: u64 = 16 << 20;

/// What the editor shows for a new job.
const TEMPLATE: &str = r#"{
  "name": "",
  "data": {},
  "id": null,
  "delay": "0s",
  "priority": 0,
  "attempts": null,
  "dedup": null
}
"#;

/// Begins to edit the payload of the selected job: it is read whole first.
pub(super) fn edit(state: &mut State) -> Vec<Effect> {
    let question = match intent::question(state, ActionId::JobEdit) {
        Ok(question) => question,
        Err(reason) => {
            notice(state, reason, true);
            return Vec::new();
        }
    };
    let Some(one) = question.draft().and_then(|draft| draft.one.clone()) else {
        notice(state, "one payload at a time can be edited", true);
        return Vec::new();
    };
    state.changes.editor = Some(Editing::Payload { job: one.job.clone(), old: None });
    fetch::payload(state, one.job, MOST)
}

/// The payload is there: it goes to the editor, or what was typed before does.
pub(super) fn payload(state: &mut State, ticket: Ticket, result: Result<Fetched, FetchError>) -> Vec<Effect> {
    if state.changes.editing.awaiting != Some(ticket) {
        return Vec::new();
    }
    state.changes.editing.awaiting = None;
    let Some(Editing::Payload { job, old }) = &mut state.changes.editor else { return Vec::new() };
    let refusal = match result {
        Ok(Fetched::Job(Some(found))) if found.payload.is_cut() => {
            format!("its payload of {} bytes is too large to be edited", found.payload.total)
        }
        Ok(Fetched::Job(Some(found))) => {
            let bytes = found.payload.bytes.clone();
            let ending = if is_json(&bytes).is_ok() { "json" } else { "txt" };
            *old = Some(Box::new((bytes.clone(), found.row.clone())));
            let kept =
                state.changes.kept.take().filter(|(queue, id, _)| *queue == job.queue && *id == Some(job.id.clone()));
            let again = kept.map(|(_, _, text)| text);
            state.changes.again = again.clone();
            return vec![Effect::Edit { ending, bytes: again.unwrap_or(bytes) }];
        }
        Ok(_) => format!("job {} is gone", job.id),
        Err(error) => error.text,
    };
    state.changes.editor = None;
    notice(state, refusal, true);
    Vec::new()
}

/// Begins to write a new job.
pub(super) fn add(state: &mut State) -> Vec<Effect> {
    let queue = match intent::question(state, ActionId::QueueAdd).map(|question| question.deed) {
        Ok(Deed::Change(draft)) => draft.parts.first().map(|part| part.queue.clone()),
        Ok(_) => None,
        Err(reason) => {
            notice(state, reason, true);
            return Vec::new();
        }
    };
    let Some(queue) = queue else { return Vec::new() };
    let kept = state.changes.kept.take().filter(|(known, id, _)| *known == queue && id.is_none());
    let again = kept.map(|(_, _, text)| text);
    state.changes.again = again.clone();
    state.changes.editor = Some(Editing::NewJob { queue });
    vec![Effect::Edit { ending: "json", bytes: again.unwrap_or_else(|| Bytes::from_static(TEMPLATE.as_bytes())) }]
}

/// The editor was left.
pub(super) fn edited(state: &mut State, text: Result<Bytes, String>) -> Vec<Effect> {
    let Some(editing) = state.changes.editor.take() else { return Vec::new() };
    let again = state.changes.again.take();
    let text = match text {
        Ok(text) => text,
        Err(reason) => {
            notice(state, format!("nothing was changed: {reason}"), true);
            return Vec::new();
        }
    };
    if again.is_some_and(|again| without_added_newline(&again, text.clone()) == again) {
        notice(
            state,
            "nothing was changed: the text that could not be used was left as it was, and is given up",
            false,
        );
        return Vec::new();
    }
    let (queue, id) = match &editing {
        Editing::Payload { job, .. } => (job.queue.clone(), Some(job.id.clone())),
        Editing::NewJob { queue } => (queue.clone(), None),
    };
    let asked = match editing {
        Editing::Payload { job, old: Some(old) } => {
            let (old, row) = *old;
            let text = without_added_newline(&old, text.clone());
            if text == old {
                notice(state, "nothing was changed: the payload is the same", false);
                return Vec::new();
            }
            replaced(state, &job.queue, &job.id, (old, row), text)
        }
        Editing::Payload { old: None, .. } => return Vec::new(),
        Editing::NewJob { queue } if text == TEMPLATE.as_bytes() => {
            notice(state, format!("nothing was added to {}", queue.short_address()), false);
            return Vec::new();
        }
        Editing::NewJob { queue } => {
            new_job(&text).map(|job| Question::of(Draft::of(queue, Change::Add(job), Scope::Queue)))
        }
    };
    match asked {
        Ok(question) => ask::show(state, question),
        Err(problem) => {
            keep(state, queue, id, text);
            let kept = "Nothing was changed, and what you typed is kept: the same key opens it again. Left there as it \
                        is, it is given up.";
            let text = input::broken(&format!("{problem}\n\n{kept}"));
            state.overlay = Some(Overlay::Problem { title: "The text cannot be used".to_owned(), text, scroll: 0 });
            Vec::new()
        }
    }
}

fn keep(state: &mut State, queue: QueueId, id: Option<JobId>, text: Bytes) {
    state.changes.kept = Some((queue, id, text));
}

fn is_json(bytes: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<&RawValue>(bytes).map(|_| ())
}

fn replaced(
    state: &State,
    queue: &QueueId,
    id: &JobId,
    (old, row): (Bytes, crate::domain::job::JobRow),
    new: Bytes,
) -> Result<Question, String> {
    if is_json(&old).is_ok() {
        is_json(&new).map_err(|error| format!("the payload was JSON and the new text is not: {error}"))?;
    }
    let retry = state.server.ability(queue.instance.system, Verb::Retry);
    let then_retry = retry.is_some_and(|ability| ability.states.contains(&row.state));
    let scope = Scope::Jobs(vec![(row.state, vec![id.clone()])]);
    let mut draft = Draft { then_retry, ..Draft::of(queue.clone(), Change::Edit { old, new }, scope) };
    let job = crate::domain::ids::JobRef { queue: queue.clone(), id: id.clone() };
    draft.one = Some(crate::app::question::One { job, seen: row, now: Default::default() });
    Ok(Question::of(draft))
}

/// A new job as it stands in the editor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    name: String,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    delay: Option<String>,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    attempts: Option<u64>,
    #[serde(default)]
    dedup: Option<String>,
}

fn new_job(text: &[u8]) -> Result<NewJob, String> {
    let written: Written<'_> = serde_json::from_slice(text).map_err(|error| format!("this is no job: {error}"))?;
    if written.name.trim().is_empty() {
        return Err("the job has no name".to_owned());
    }
    let delay = written.delay.as_deref().unwrap_or("0s");
    Ok(NewJob {
        id: written.id.map(Into::into),
        name: written.name,
        data: Bytes::copy_from_slice(written.data.get().as_bytes()),
        delay: span_of(delay).ok_or_else(|| format!("delay: {delay:?} is no time; write it like 90s or 1h 30m"))?,
        priority: written.priority,
        attempts: written.attempts,
        dedup: written.dedup,
        ..NewJob::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r22_the_bytes_of_a_new_payload_are_those_that_were_typed() {
        let job = new_job(br#"{"name":"send","data":{"n": 1e400,  "b":[ ]},"delay":"90s","attempts":3}"#).unwrap();
        assert_eq!(&job.data[..], br#"{"n": 1e400,  "b":[ ]}"#);
        assert_eq!((job.delay.as_secs(), job.attempts, job.priority), (90, Some(3), 0));
        assert!(new_job(TEMPLATE.as_bytes()).is_err_and(|problem| problem.contains("name")));
        for bad in ["", "{}", r#"{"name":"a","data":{}, "nmae":1}"#, r#"{"name":"a","data":{},"delay":"soon"}"#] {
            assert!(new_job(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
