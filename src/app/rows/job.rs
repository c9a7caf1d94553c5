//! Lines of the Job screen's parts. The ones of a payload are made on demand: there may be very many.

use std::borrow::Cow;
use std::time::Duration;

use crate::app::document::Document;
use crate::app::state::State;
use crate::app::views::{JobTab, JobView, PayloadView};
use crate::domain::job::{Job, KeyFact, Relative};
use crate::domain::payload::{self, HEX_ROW};
use crate::domain::state::StateKind;
use crate::domain::text;
use crate::domain::time::Timestamp;

/// A line of a part of the Job screen. Text in it is harmless, but for [`Relative`] and [`KeyFact`], which are as read.
#[derive(Clone, Debug, PartialEq)]
pub enum JobLine<'a> {
    /// A value of a payload.
    Value(payload::Line<'a>),
    /// Text: a stack frame, a log line, a row of bytes.
    Text(Cow<'a, str>),
    /// A heading above what follows.
    Heading(&'static str),
    /// Something qtop has to say, not the job.
    Note(String),
    /// A fact with its label.
    Fact(Cow<'a, str>, Cow<'a, str>),
    /// A fact that is a moment, with its label.
    Moment(Cow<'a, str>, Timestamp),
    /// Something that happened.
    Event {
        /// What.
        label: String,
        /// When.
        at: Timestamp,
        /// How long after the event before it.
        after: Option<Duration>,
    },
    /// The job that waits for this one.
    Parent(&'a Relative),
    /// A job this one waits for.
    Child(&'a Relative),
    /// A key of the job.
    Key(&'a KeyFact),
}

impl JobLine<'_> {
    /// The line as plain text, for searching and copying.
    pub fn plain(&self) -> String {
        match self {
            Self::Value(line) => match &line.key {
                Some(key) => format!("{key}: {}", line.text),
                None => line.text.clone().into_owned(),
            },
            Self::Text(text) => text.clone().into_owned(),
            Self::Heading(text) => (*text).to_owned(),
            Self::Note(text) => text.clone(),
            Self::Fact(label, value) => format!("{label}: {value}"),
            Self::Moment(label, at) => format!("{label}: {}", at.rfc3339().unwrap_or_default()),
            Self::Event { label, at, .. } => format!("{} {label}", at.rfc3339().unwrap_or_default()),
            Self::Parent(relative) | Self::Child(relative) => relative.label.clone(),
            Self::Key(fact) => fact.key.to_text(),
        }
    }
}

/// All lines of the open part.
#[derive(Debug)]
pub struct JobLines<'a> {
    tree: Option<&'a Document>,
    rest: Vec<JobLine<'a>>,
}

impl<'a> JobLines<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.tree.map_or(0, |document| document.visible.len()) + self.rest.len()
    }

    /// True if there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Option<JobLine<'a>> {
        let values = self.tree.map_or(0, |document| document.visible.len());
        match self.tree {
            Some(document) if index < values => {
                let tree = document.payload.tree.as_ref()?;
                Some(JobLine::Value(tree.line(document.visible[index], &document.folds)?))
            }
            _ => self.rest.get(index - values).cloned(),
        }
    }
}

/// The job of the Job screen, if it is loaded and exists.
pub fn open_job(state: &State) -> Option<&Job> {
    state.job.as_ref()?.loaded.data.as_ref()?.as_deref()
}

/// Lines of the open part of the Job screen.
pub fn job_lines(state: &State) -> JobLines<'_> {
    let columns = usize::from(state.size.0.saturating_sub(2)).max(20);
    let mut lines = JobLines { tree: None, rest: Vec::new() };
    let Some((view, job)) = state.job.as_ref().zip(open_job(state)) else { return lines };
    match view.tab {
        JobTab::Data => document(view, view.documents.payload.as_ref(), columns, &mut lines),
        JobTab::Options => {
            document(view, view.documents.options.as_ref(), columns, &mut lines);
            if !job.facts.is_empty() {
                lines.rest.push(JobLine::Heading("facts"));
            }
            lines.rest.extend(job.facts.iter().map(|(label, value)| match Timestamp::from_rfc3339(value) {
                Some(at) => JobLine::Moment(text::harmless(label), at),
                None => JobLine::Fact(text::harmless(label), text::harmless(value)),
            }));
        }
        JobTab::Result => document(view, view.documents.result.as_ref(), columns, &mut lines),
        JobTab::Error => {
            if let Some(error) = &job.error {
                wrap(error, columns, &mut lines.rest);
            }
            for (number, stack) in job.stack.iter().enumerate().rev() {
                lines.rest.push(JobLine::Note(format!("stack of attempt {}", number + 1)));
                wrap(stack, columns, &mut lines.rest);
            }
        }
        JobTab::Logs => {
            let before = job.logs_total.unwrap_or(0).saturating_sub(job.logs.len() as u64);
            if before > 0 {
                lines.rest.push(JobLine::Note(format!("{before} earlier lines are not loaded")));
            }
            job.logs.iter().for_each(|line| wrap(line, columns, &mut lines.rest));
        }
        JobTab::Timeline => timeline(job, view, state, &mut lines.rest),
        JobTab::Family => {
            lines.rest.extend(job.parent.iter().map(JobLine::Parent));
            lines.rest.extend(job.children.iter().map(JobLine::Child));
        }
        JobTab::Keys => lines.rest.extend(job.keys.iter().map(JobLine::Key)),
    }
    lines
}

fn document<'a>(view: &JobView, document: Option<&'a Document>, columns: usize, lines: &mut JobLines<'a>) {
    let Some(document) = document else { return };
    let payload = &document.payload;
    match (view.payload, &payload.tree, payload.text()) {
        (PayloadView::Tree, Some(_), _) => lines.tree = Some(document),
        (PayloadView::Tree | PayloadView::Raw, _, Some(text)) => wrap(&text, columns, &mut lines.rest),
        _ => {
            let rows = payload.bytes.chunks(HEX_ROW).enumerate();
            lines.rest.extend(
                rows.filter_map(|(row, _)| payload::hex_row(&payload.bytes, row)).map(|row| JobLine::Text(row.into())),
            );
        }
    }
    lines.rest.extend(payload.notes.iter().map(|note| JobLine::Note(note.clone())));
    if payload.cut {
        let (shown, total) = (document.source.bytes.len() as u64, document.source.total);
        let note = format!("the first {} of {}; more is read on demand", text::size(shown), text::size(total));
        lines.rest.push(JobLine::Note(note));
    }
}

/// Text as lines that fit, so that nothing has to be scrolled sideways.
fn wrap(text: &str, columns: usize, lines: &mut Vec<JobLine<'_>>) {
    for line in text::lines(text) {
        let (mut part, mut used) = (String::new(), 0);
        for c in line.chars() {
            let wide = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
            if used + wide > columns {
                lines.push(JobLine::Text(std::mem::take(&mut part).into()));
                used = 0;
            }
            part.push(c);
            used += wide;
        }
        lines.push(JobLine::Text(part.into()));
    }
}

fn timeline(job: &Job, view: &JobView, state: &State, lines: &mut Vec<JobLine<'_>>) {
    let row = &job.row;
    let mut events: Vec<(Timestamp, String)> = Vec::new();
    let mut add = |at: Option<Timestamp>, label: &str| events.extend(at.map(|at| (at, label.to_owned())));
    add(row.created_at, "added");
    let waits = matches!(row.kind, StateKind::Scheduled | StateKind::Retrying);
    add(
        row.run_at.filter(|at| row.created_at.is_none_or(|created| *at > created)),
        if waits { "may run" } else { "could run" },
    );
    add(row.started_at, "started");
    if let Some(track) = view.track.filter(|track| track.last.1 > track.first.1) {
        let ago = state.clock.mono.saturating_duration_since(track.last.1);
        let at = Timestamp(state.server_now().0.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(0)));
        // It was seen only with the next look, which may be after the end; it was reached before.
        let at = row.finished_at.map_or(at, |ended| at.min(ended));
        add(Some(at), &format!("reached {}", text::percent(track.last.0)));
    }
    add(row.finished_at, if row.kind.is_bad() || row.kind == StateKind::Retrying { "failed" } else { "ended" });
    events.sort_by_key(|(at, _)| *at);
    let mut before = None;
    for (at, label) in events {
        let after = before.map(|before: Timestamp| before.age(at));
        lines.push(JobLine::Event { label, at, after });
        before = Some(at);
    }
    let now = state.server_now();
    let mut fact = |label: &'static str, value: Option<Duration>| {
        lines.extend(value.map(|value| JobLine::Fact(label.into(), text::span(value).into())));
    };
    fact("waited", row.waited(now));
    fact("ran", row.ran(now));
}
