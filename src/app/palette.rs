//! The palette: a fuzzy list over actions, queues, servers and themes, and the commands `:q`, `:job`, `:server`,
//! `:theme`, `:columns`.

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::actions::{ACTIONS, ActionId};
use super::availability::{Availability, availability};
use super::columns;
use super::state::{Overlay, State};
use crate::domain::ids::{JobRef, QueueId};

/// Entries that are shown at most; more would only be scrolled through.
const SHOWN: usize = 200;

/// A line of the palette.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What is matched and shown.
    pub label: String,
    /// More about it: its key, its state, why it cannot be done.
    pub detail: String,
    /// What `Enter` does.
    pub choice: Choice,
    /// It can be chosen.
    pub enabled: bool,
    /// Which characters of the label matched.
    pub matched: Vec<u32>,
}

/// What a line of the palette leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Do it.
    Action(ActionId),
    /// Show this queue.
    Queue(QueueId),
    /// Show this job.
    Job(JobRef),
    /// Look for a job of this id in all queues.
    FindJob(String),
    /// Watch this server.
    Server(String),
    /// Use this theme.
    Theme(String),
    /// Show or hide this column of this table.
    Column(&'static str, &'static str),
}

/// Commands that may stand at the beginning of the input, with what they take.
pub const COMMANDS: [(&str, &str); 6] = [
    ("q", "a queue by name"),
    ("job", "a job by its id, in all queues"),
    ("server", "another configured server"),
    ("ctx", "another configured server"),
    ("theme", "another theme"),
    ("columns", "show or hide a column of this screen"),
];

/// The entries that match what is typed, best first.
pub fn entries(state: &State) -> Vec<Entry> {
    let Some(Overlay::Palette(view)) = &state.overlay else { return Vec::new() };
    if !view.found.is_empty() {
        return view.found.iter().map(|row| found(state, row)).collect();
    }
    let input = view.input.trim_start_matches(':').trim_start();
    let (command, rest) = input.split_once(' ').unwrap_or((input, ""));
    match (command, rest.trim()) {
        ("q" | "queue", rest) => ranked(queues(state), rest),
        ("job", "") => Vec::new(),
        ("job", id) => vec![Entry {
            label: format!("job {id}"),
            detail: "look in all queues".to_owned(),
            choice: Choice::FindJob(id.to_owned()),
            enabled: true,
            matched: Vec::new(),
        }],
        ("server" | "ctx", rest) => ranked(servers(state), rest),
        ("theme", rest) => ranked(themes(state), rest),
        ("columns", rest) => ranked(columns(state), rest),
        _ => {
            let all = actions(state).chain(queues(state)).chain(servers(state)).chain(themes(state));
            ranked(all, input)
        }
    }
}

fn actions(state: &State) -> impl Iterator<Item = Entry> {
    ACTIONS.iter().filter(|spec| !spec.id.name().starts_with("move.") && spec.id != ActionId::Palette).filter_map(
        |spec| {
            let key = state.keymap.key(spec.id).unwrap_or_default();
            let (detail, enabled) = match availability(spec, state) {
                Availability::Ready => (key, true),
                Availability::Disabled(reason) => (reason, false),
                Availability::Hidden => return None,
            };
            let label = format!("{}  {}", spec.title, spec.id.name());
            Some(Entry { label, detail, choice: Choice::Action(spec.id), enabled, matched: Vec::new() })
        },
    )
}

fn queues(state: &State) -> impl Iterator<Item = Entry> {
    let snapshot = state.shown();
    snapshot.queues().map(move |(instance, queue)| Entry {
        label: snapshot.address(&queue.id),
        detail: if snapshot.has_several(instance.id.system) {
            format!("queue of {}", instance.id.name)
        } else {
            "queue".to_owned()
        },
        choice: Choice::Queue(queue.id.clone()),
        enabled: true,
        matched: Vec::new(),
    })
}

fn servers(state: &State) -> impl Iterator<Item = Entry> {
    state.settings.server_names.iter().map(|name| {
        let present = *name == state.server.name;
        Entry {
            label: format!("server {name}"),
            detail: if present { "watched now" } else { "" }.to_owned(),
            choice: Choice::Server(name.clone()),
            enabled: !present,
            matched: Vec::new(),
        }
    })
}

fn themes(state: &State) -> impl Iterator<Item = Entry> {
    state.settings.theme_names.iter().map(|name| Entry {
        label: format!("theme {name}"),
        detail: if *name == state.settings.theme { "in use" } else { "" }.to_owned(),
        choice: Choice::Theme(name.clone()),
        enabled: true,
        matched: Vec::new(),
    })
}

/// The columns of the table on the screen; elsewhere those of the Queues screen.
fn columns(state: &State) -> impl Iterator<Item = Entry> {
    let open = state.failures.open.is_some();
    let table = columns::table_of(state.navigation.current(), open).unwrap_or("queues");
    let shown = state.settings.columns_of(table);
    columns::all(table).iter().map(move |column| Entry {
        label: format!("column {}", column.name),
        detail: if shown.contains(&column) { "shown" } else { "hidden" }.to_owned(),
        choice: Choice::Column(table, column.name),
        enabled: true,
        matched: Vec::new(),
    })
}

fn found(state: &State, row: &crate::domain::fetch::QueuedRow) -> Entry {
    Entry {
        label: format!("{} {}", state.shown().address(&row.queue), row.row.id),
        detail: row.row.state.to_string(),
        choice: Choice::Job(JobRef { queue: row.queue.clone(), id: row.row.id.clone() }),
        enabled: true,
        matched: Vec::new(),
    }
}

/// Matching entries, best first; all of them in their own order if nothing is typed. What begins with what was typed
/// comes before what only contains it somewhere, and a queue before an action: going there is what people type for.
fn ranked(entries: impl Iterator<Item = Entry>, typed: &str) -> Vec<Entry> {
    if typed.is_empty() {
        return entries.take(SHOWN).collect();
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::new(typed, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy);
    let mut buffer = Vec::new();
    let mut scored: Vec<((u8, u32, bool), Entry)> = entries
        .filter_map(|mut entry| {
            let text = Utf32Str::new(&entry.label, &mut buffer);
            let score = pattern.indices(text, &mut matcher, &mut entry.matched)?;
            entry.matched.sort_unstable();
            entry.matched.dedup();
            Some(((closeness(&entry, typed), score, entry.enabled), entry))
        })
        .collect();
    scored.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    scored.into_iter().take(SHOWN).map(|(_, entry)| entry).collect()
}

/// 3: the very name of something; 2: the name of a queue begins so; 1: something else does; 0: it is in it somewhere.
fn closeness(entry: &Entry, typed: &str) -> u8 {
    let typed = typed.to_lowercase();
    let label = entry.label.to_lowercase();
    let name = match &entry.choice {
        Choice::Queue(id) => id.name.to_text().to_lowercase(),
        Choice::Action(id) => id.name().to_owned(),
        _ => label.clone(),
    };
    match &entry.choice {
        _ if name == typed || label == typed => 3,
        Choice::Queue(_) if name.starts_with(&typed) || label.starts_with(&typed) => 2,
        _ if name.starts_with(&typed) || label.starts_with(&typed) => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(label: &str, choice: Choice) -> Entry {
        Entry { label: label.to_owned(), detail: String::new(), choice, enabled: true, matched: Vec::new() }
    }

    #[test]
    fn a_queue_whose_name_begins_so_comes_first() {
        let queue = |name: &str| entry(&format!("bullmq:{name}"), Choice::Queue(QueueId::new("bullmq", "bull", name)));
        let action = |title: &str, id: ActionId| entry(&format!("{title}  {}", id.name()), Choice::Action(id));
        let all = [
            action("Refresh now", ActionId::Refresh),
            action("Reverse the order", ActionId::SortReverse),
            queue("mail:retries"),
            queue("reports"),
            action("Back; at the top level: quit", ActionId::Quit),
        ];
        let best = |typed: &str| ranked(all.clone().into_iter(), typed).first().map(|entry| entry.label.clone());
        assert_eq!(best("re").as_deref(), Some("bullmq:reports"));
        assert_eq!(best("Rep").as_deref(), Some("bullmq:reports"));
        assert_eq!(best("app.quit").as_deref(), Some("Back; at the top level: quit  app.quit"));
        assert_eq!(best("reve").as_deref(), Some("Reverse the order  sort.reverse"));
    }
}
