//! What is copied, and what is handed to a pager or editor. All of it is made harmless first (S4).

use crate::app::actions::ActionId;
use crate::app::command::{self, program, quoted};
use crate::app::effect::Effect;
use crate::app::intent;
use crate::app::question::Question;
use crate::app::rows::{self, JobLine, QueueLine};
use crate::app::screen::Screen;
use crate::app::state::{Overlay, State};
use crate::app::target;
use crate::app::views::JobTab;
use crate::domain::payload::Format;
use crate::domain::text;

/// Terminals refuse longer texts, and nobody wants to paste them.
const LONGEST: usize = 64 * 1024;

/// Copies the value under the cursor.
pub(super) fn value(state: &State) -> Option<Effect> {
    if let Some(Overlay::Why { loaded, .. }) = &state.overlay {
        let reasons = loaded.data.iter().flatten();
        let lines: Vec<_> = reasons.map(|reason| format!("{} ({})", reason.text, reason.evidence)).collect();
        return copy(lines.join("\n"));
    }
    if let Some(Overlay::Problem { text, .. }) = &state.overlay {
        return copy(text.clone());
    }
    let text = match state.navigation.current() {
        Screen::Queues => {
            let lines = rows::queues(state);
            match &lines[rows::queue_index(state, &lines)?] {
                QueueLine::Queue(row) => state.shown().address(&row.sample.id),
                QueueLine::Group(group) => group.label.clone(),
            }
        }
        Screen::Queue(_) | Screen::Running => target::job(state)?.id.to_text(),
        Screen::Job(job) => job_value(state).unwrap_or_else(|| job.id.to_text()),
        Screen::Failures if state.failures.open.is_some() => target::job(state)?.id.to_text(),
        Screen::Failures => {
            let groups = rows::failures(state);
            let keys: Vec<_> = groups.iter().map(|group| group.fingerprint.clone()).collect();
            groups[state.failures.list.index(&keys)?].sample_error.clone()
        }
        Screen::Workers => {
            let workers = rows::workers(state);
            let keys: Vec<_> = workers.iter().map(|worker| rows::worker_key(worker)).collect();
            workers[state.workers.list.index(&keys)?].name.to_text()
        }
        Screen::Scheduled => {
            let rows = rows::scheduled(state);
            let keys: Vec<_> = rows.iter().map(|row| rows::scheduled_key(row)).collect();
            keys[state.scheduled.list.index(&keys)?].1.to_text()
        }
        Screen::Runner => {
            let line = rows::runner_line(state)?;
            line.slot.map_or_else(|| line.pool.address.clone(), |slot| slot.id.to_text())
        }
        Screen::Server => state.shown().url.to_string(),
        Screen::Logs => rows::logs(state).last().map(|line| line.text.clone())?,
    };
    copy(text)
}

fn copy(text: String) -> Option<Effect> {
    let mut text = harmless(&text);
    let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    (!text.is_empty()).then_some(Effect::Copy(text))
}

/// The value of the line under the cursor, without its name and with all of its text.
fn job_value(state: &State) -> Option<String> {
    let view = state.job.as_ref()?;
    let line = rows::job_lines(state).get(view.line)?;
    let JobLine::Value(value) = &line else { return Some(line.plain()) };
    let document = match view.tab {
        JobTab::Options => view.documents.options.as_ref(),
        JobTab::Result => view.documents.result.as_ref(),
        _ => view.documents.payload.as_ref(),
    };
    let node = document?.payload.tree.as_ref()?.node(value.node)?;
    Some(if node.is_container() { line.plain() } else { node.text().into_owned() })
}

/// Copies the command that prints the same without a screen.
pub(super) fn command(state: &State) -> Option<Effect> {
    let qtop = program(state);
    let address = |id| quoted(&state.shown().address(id));
    let command = match state.navigation.current() {
        Screen::Queues => "queues".to_owned(),
        Screen::Queue(id) => {
            let view = state.queue.as_ref()?;
            let search = view.search.as_ref().map(|search| search.search.text.as_str()).unwrap_or(&view.list.filter);
            let matching = if search.is_empty() { String::new() } else { format!(" --match {}", quoted(search)) };
            format!("jobs {} --state {}{matching}", address(id), view.tab)
        }
        Screen::Job(job) => format!("job {} {}", address(&job.queue), quoted(&job.id.to_text())),
        Screen::Running | Screen::Scheduled => {
            let job = target::job(state)?;
            format!("job {} {}", address(&job.queue), quoted(&job.id.to_text()))
        }
        Screen::Failures => "failures".to_owned(),
        Screen::Workers => "workers".to_owned(),
        Screen::Runner => "run".to_owned(),
        Screen::Server | Screen::Logs => "health".to_owned(),
    };
    copy(format!("{qtop} {command}"))
}

/// Copies the command that does what the open question asks about.
pub(super) fn question(state: &State) -> Option<Effect> {
    match &state.overlay {
        Some(Overlay::Ask(question)) => copy(command::of_question(state, question)?),
        _ => None,
    }
}

/// Copies the command that does what an action would ask about now, or prints the same.
pub(super) fn of_action(state: &State, id: ActionId) -> Option<Effect> {
    if intent::asks(id) {
        let question = intent::question(state, id).ok()?;
        // A value that is typed in the question is left for the command line to be typed there.
        return copy(command::of_question(state, &Question { value: None, ..question })?);
    }
    let plain = id.spec().cli?.strip_prefix("qtop")?;
    copy(format!("{}{plain}", program(state)))
}

/// Hands the open part of the job to a pager or editor.
pub(super) fn external(state: &State) -> Option<Effect> {
    let view = state.job.as_ref()?;
    let job = rows::open_job(state)?;
    let document = match view.tab {
        JobTab::Data => view.documents.payload.as_ref(),
        JobTab::Options => view.documents.options.as_ref(),
        JobTab::Result => view.documents.result.as_ref(),
        JobTab::Error | JobTab::Logs | JobTab::Timeline | JobTab::Family | JobTab::Keys => None,
    };
    let (ending, text) = match document.map(|document| &document.payload) {
        Some(payload) => match payload.text() {
            Some(text) if payload.format == Format::Json && !payload.cut => ("json", indented(&text)),
            Some(text) => ("txt", text.into_owned()),
            None => ("txt", all_lines(state)),
        },
        None if view.tab == JobTab::Logs => ("log", job.logs.join("\n")),
        None => ("txt", all_lines(state)),
    };
    Some(Effect::Open { ending, text: harmless(&text) })
}

fn all_lines(state: &State) -> String {
    let lines = rows::job_lines(state);
    let plain: Vec<String> = (0..lines.len()).filter_map(|index| lines.get(index)).map(|line| line.plain()).collect();
    plain.join("\n")
}

fn harmless(text: &str) -> String {
    text::lines(text).collect::<Vec<_>>().join("\n")
}

/// JSON with line breaks and indentation. Works on the text, so that numbers and names stay exactly as written.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut characters = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth.min(64)));
    };
    while let Some(c) = characters.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while characters.next_if(|next| next.is_whitespace()).is_some() {}
                if !matches!(characters.peek(), Some('}' | ']')) {
                    depth += 1;
                    line(&mut out, depth);
                } else if let Some(end) = characters.next() {
                    out.push(end);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_without_changing_a_value() {
        let json = r#"{"a":[1e400,{}],"b\"{":"x, y: [","c":[]}"#;
        let expected = "{\n  \"a\": [\n    1e400,\n    {}\n  ],\n  \"b\\\"{\": \"x, y: [\",\n  \"c\": []\n}";
        assert_eq!(indented(json), expected);
    }
}
