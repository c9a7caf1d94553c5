//! A value that is typed before a question is complete.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent};

use super::ask;
use super::prompt::edit_line;
use crate::app::effect::Effect;
use crate::app::question::{Draft, EntryKind, Part};
use crate::app::state::{Overlay, State};
use crate::domain::change::Filter;
use crate::domain::mutation::{Change, Limits};
use crate::domain::snapshot::InstanceSample;
use crate::domain::text::span_of;
use crate::domain::time::Timestamp;

/// A key while a value is typed.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Ask(question)) = &mut state.overlay else { return Vec::new() };
    let Some(entry) = &mut question.value else { return Vec::new() };
    if event.code != KeyCode::Enter {
        edit_line(&mut entry.text, &mut entry.at, event);
        entry.problem = None;
        return Vec::new();
    }
    let (kind, text) = (entry.kind, entry.text.trim().to_owned());
    let now = state.snapshot.server_now(state.clock.mono);
    let queue = question.draft().and_then(|draft| draft.parts.first()).map(|part| part.queue.clone());
    let instance = queue.and_then(|queue| state.snapshot.instances.iter().find(|known| known.id == queue.instance));
    let read = question.draft().ok_or_else(|| "there is nothing to set".to_owned());
    let read = read.and_then(|draft| set(draft.clone(), kind, &text, instance, now));
    match read {
        Ok(draft) => {
            if let Some(present) = question.draft_mut() {
                *present = draft;
            }
            question.value = None;
            ask::begin_reading(state)
        }
        Err(problem) => {
            if let Some(entry) = &mut question.value {
                entry.problem = Some(problem);
            }
            Vec::new()
        }
    }
}

/// The draft with the value in it, or what is wrong with the value.
fn set(
    mut draft: Draft,
    kind: EntryKind,
    text: &str,
    instance: Option<&InstanceSample>,
    now: Timestamp,
) -> Result<Draft, String> {
    match kind {
        EntryKind::Delay => change_all(&mut draft, &Change::Delay { by: time(text)? }),
        EntryKind::Priority => {
            let priority = text.parse().map_err(|_| format!("{text:?} is no whole number"))?;
            change_all(&mut draft, &Change::Prioritize { priority });
        }
        EntryKind::Consumer if text.is_empty() => return Err("a consumer needs a name".to_owned()),
        EntryKind::Consumer => {
            // The last word is a time, if it can be read as one.
            let timed = text.rsplit_once(' ').and_then(|(name, idle)| Some((name.trim(), span_of(idle)?)));
            let (consumer, min_idle) = timed.unwrap_or((text, Duration::ZERO));
            change_all(&mut draft, &Change::Claim { consumer: consumer.into(), min_idle });
        }
        EntryKind::Keep => {
            let keep = text.parse().map_err(|_| format!("{text:?} is no number of entries"))?;
            change_all(&mut draft, &Change::Trim { keep });
        }
        EntryKind::Limits => change_all(&mut draft, &Change::Limit(limits(text)?)),
        EntryKind::Clean => clean(&mut draft, text, instance, now)?,
    }
    Ok(draft)
}

fn change_all(draft: &mut Draft, change: &Change) {
    draft.parts.iter_mut().for_each(|Part { change: present, .. }| *present = change.clone());
}

fn time(text: &str) -> Result<Duration, String> {
    span_of(text).ok_or_else(|| format!("{text:?} is no time; write it like 90s, 15m, 1h 30m or 7d"))
}

/// `failed 7d`: a state in the system's own word, and how long ago its jobs must have ended.
fn clean(draft: &mut Draft, text: &str, instance: Option<&InstanceSample>, now: Timestamp) -> Result<(), String> {
    let (word, age) = text.split_once(' ').ok_or("both are needed, a state and an age: completed 7d")?;
    let states = instance.map(|instance| instance.states).unwrap_or_default();
    let state = states.iter().find(|spec| spec.id.0 == word).ok_or_else(|| {
        let known: Vec<&str> = states.iter().map(|spec| spec.id.0).collect();
        format!("there is no state {word:?}; it has {}", known.join(", "))
    })?;
    let age = time(age)?;
    let before = Timestamp(now.0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)));
    if let Some(reading) = &mut draft.reading {
        reading.filter = Filter { states: vec![state.id], before: Some(before), ..Filter::default() };
    }
    draft.command = Some(("clean", format!(" --state {} --older-than {}s", state.id, age.as_secs())));
    Ok(())
}

/// `concurrency=5 rate=100/1s`; 0 lifts a limit.
fn limits(text: &str) -> Result<Limits, String> {
    let mut limits = Limits::default();
    for word in text.split_whitespace() {
        let wrong = || format!("{word:?} is not understood; write it like concurrency=5 or rate=100/1s");
        match word.split_once('=').ok_or_else(wrong)? {
            ("concurrency", number) => {
                let number: u64 = number.parse().map_err(|_| wrong())?;
                limits.concurrency = Some((number > 0).then_some(number));
            }
            ("rate", "0") => limits.rate = Some(None),
            ("rate", rate) => {
                let (max, per) = rate.split_once('/').ok_or_else(wrong)?;
                let (max, per) = (max.parse().map_err(|_| wrong())?, span_of(per).ok_or_else(wrong)?);
                if max == 0 || per.is_zero() {
                    return Err(wrong());
                }
                limits.rate = Some(Some((max, per)));
            }
            _ => return Err(wrong()),
        }
    }
    if limits == Limits::default() { Err("no limit was given".to_owned()) } else { Ok(limits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_set_and_lifted() {
        let second = Duration::from_secs(1);
        let both = Limits { concurrency: Some(Some(5)), rate: Some(Some((100, second))) };
        assert_eq!(limits("concurrency=5 rate=100/1s"), Ok(both));
        assert_eq!(limits("rate=0"), Ok(Limits { concurrency: None, rate: Some(None) }));
        assert_eq!(limits("concurrency=0"), Ok(Limits { concurrency: Some(None), rate: None }));
        for bad in ["", "concurrency", "rate=5", "rate=0/1s", "rate=5/0s", "speed=1", "concurrency=-1"] {
            assert!(limits(bad).is_err(), "{bad}");
        }
    }
}
