//! From an action to the question it asks, or to the reason why there is none. Nothing here changes anything: the same
//! functions tell whether an action is possible and make its question.

use std::time::Duration;

use super::actions::ActionId;
use super::question::{Draft, Entry, EntryKind, One, Part, Question, Reading};
use super::safeguard;
use super::screen::Screen;
use super::selection::{self, Selected};
use super::state::{Loaded, State};
use crate::domain::change::{Filter, Scope};
use crate::domain::ids::{JobRef, QueueId, Ticket};
use crate::domain::job::Search;
use crate::domain::mutation::{Ability, Change, End, Limits, Verb, not_for};
use crate::domain::snapshot::InstanceSample;
use crate::domain::state::{StateId, StateKind};
use crate::domain::worker::WorkerOrder;

/// Jobs shown of those it would be done to.
const SAMPLES: usize = 5;
/// Reason recorded with a job that is moved to the dead letters.
const KILLED: &str = "moved by hand";
/// Consumer a delivered entry is given to, if nothing else is typed.
const CONSUMER: &str = "qtop";
/// For so long the present consumer must have had an entry, if nothing else is typed.
const IDLE: &str = "1m";

/// What an action is about.
enum Intent {
    /// The selected jobs; the first of these verbs that a job's system has for its state.
    Jobs(&'static [Verb]),
    /// Everything that matches what is shown.
    Matching(&'static [Verb]),
    /// All jobs of a queue in states of these kinds.
    Kinds(&'static [Verb], &'static [StateKind]),
    /// Jobs of one state by age.
    Clean,
    /// The queue.
    Queue(Verb),
    /// Pauses what runs, resumes what is paused.
    Pause,
    /// Selected schedules.
    Schedules(Verb),
    /// Selected workers.
    Workers(WorkerOrder),
}

const RETRY: &[Verb] = &[Verb::Retry, Verb::Requeue];
const BAD: &[StateKind] = &[StateKind::Failed, StateKind::Dead];

fn intent(id: ActionId) -> Option<Intent> {
    Some(match id {
        ActionId::JobRetry => Intent::Jobs(RETRY),
        ActionId::JobsRetryAll => Intent::Matching(RETRY),
        ActionId::JobCancel => Intent::Jobs(&[Verb::Cancel]),
        ActionId::JobKill => Intent::Jobs(&[Verb::Kill]),
        ActionId::JobRemove => Intent::Jobs(&[Verb::Remove]),
        ActionId::JobPromote => Intent::Jobs(&[Verb::Promote]),
        ActionId::JobDelay => Intent::Jobs(&[Verb::Delay]),
        ActionId::JobPriority => Intent::Jobs(&[Verb::Prioritize]),
        ActionId::JobEdit => Intent::Jobs(&[Verb::Edit]),
        ActionId::JobDuplicate => Intent::Jobs(&[Verb::Duplicate]),
        ActionId::JobRequeueNext => Intent::Jobs(&[Verb::Requeue]),
        ActionId::JobClaim => Intent::Jobs(&[Verb::Claim]),
        ActionId::JobAck => Intent::Jobs(&[Verb::Acknowledge]),
        ActionId::QueuePause => Intent::Pause,
        ActionId::QueueAdd => Intent::Queue(Verb::Add),
        ActionId::QueueRetryAll => Intent::Kinds(RETRY, BAD),
        ActionId::QueuePromoteAll => Intent::Kinds(&[Verb::Promote], &[StateKind::Scheduled]),
        ActionId::QueueDrain => Intent::Kinds(&[Verb::Remove], &[StateKind::Waiting]),
        ActionId::QueueClean => Intent::Clean,
        ActionId::QueueObliterate => Intent::Queue(Verb::Obliterate),
        ActionId::QueueLimit => Intent::Queue(Verb::Limit),
        ActionId::QueueTrim => Intent::Queue(Verb::Trim),
        ActionId::ScheduleTrigger => Intent::Schedules(Verb::Trigger),
        ActionId::ScheduleRemove => Intent::Schedules(Verb::Unschedule),
        ActionId::WorkersPause => Intent::Workers(WorkerOrder::Pause),
        ActionId::WorkersContinue => Intent::Workers(WorkerOrder::Continue),
        ActionId::WorkersRestart => Intent::Workers(WorkerOrder::Restart),
        ActionId::WorkersTerminate => Intent::Workers(WorkerOrder::Terminate),
        _ => return None,
    })
}

/// True for actions that [`question`] makes a question of.
pub fn asks(id: ActionId) -> bool {
    intent(id).is_some()
}

/// Why an action cannot be asked for here; `None` if it can.
pub fn refusal(state: &State, id: ActionId) -> Option<String> {
    match intent(id)? {
        Intent::Jobs(verbs) => {
            let selection = selection::jobs(state);
            let mut first = None;
            for job in &selection.jobs {
                match ability(state, job, verbs) {
                    Ok(_) => return None,
                    Err(reason) => first = first.or(Some(reason)),
                }
            }
            Some(first.unwrap_or_else(|| "no job is selected".to_owned()))
        }
        _ => question(state, id).err(),
    }
}

/// The question an action asks, with everything in it that is selected now.
pub fn question(state: &State, id: ActionId) -> Result<Question, String> {
    let Some(intent) = intent(id) else { return Err("it asks nothing".to_owned()) };
    let end = if id == ActionId::JobRequeueNext { End::Next } else { End::Last };
    let mut question = match intent {
        Intent::Jobs(verbs) => Question::of(of_jobs(state, verbs, end)?),
        Intent::Matching(verbs) => matching(state, verbs)?,
        Intent::Kinds(verbs, kinds) => of_kinds(state, verbs, kinds)?,
        Intent::Clean => clean(state)?,
        Intent::Queue(verb) => of_queue(state, verb)?,
        Intent::Pause => pause(state)?,
        Intent::Schedules(verb) => of_schedules(state, verb)?,
        Intent::Workers(order) => Question::of(super::orders::draft(state, order)?),
    };
    if question.value.is_none() {
        question.value = match id {
            ActionId::JobDelay => Some(Entry::new(EntryKind::Delay, "10m")),
            ActionId::JobPriority => Some(Entry::new(EntryKind::Priority, "")),
            ActionId::JobClaim => Some(Entry::new(EntryKind::Consumer, &format!("{CONSUMER} {IDLE}"))),
            ActionId::QueueLimit => Some(Entry::new(EntryKind::Limits, "")),
            ActionId::QueueTrim => Some(Entry::new(EntryKind::Keep, "10000")),
            _ => None,
        };
    }
    let command = match id {
        ActionId::QueueDrain => Some("drain"),
        ActionId::QueueClean => Some("clean"),
        _ => None,
    };
    if let (Some(word), Some(draft)) = (command, question.draft_mut()) {
        draft.command = Some((word, String::new()));
    }
    safeguard::arm(state, id, &mut question);
    Ok(question)
}

/// A system's ability for a job, the first of `verbs` that it has for the job's state.
fn ability<'a>(state: &'a State, job: &Selected<'_>, verbs: &[Verb]) -> Result<&'a Ability, String> {
    let system = job.queue.instance.system;
    let mut reason = None;
    for verb in verbs {
        let Some(ability) = state.server.ability(system, *verb) else { continue };
        let refused = match job.row {
            Some(row) => ability.refuses(row),
            None if ability.states.contains(&job.state) => None,
            None => Some(not_for(job.state)),
        };
        match refused {
            None => return Ok(ability),
            // A running job is where people expect more than a system can do: it says in its own words what it can.
            Some(refused) if *verb == Verb::Cancel => reason = Some(format!("{refused}. {}", ability.says)),
            Some(refused) => reason = reason.or(Some(refused)),
        }
    }
    let verb = verbs.first().copied();
    Err(reason.unwrap_or_else(|| format!("{system} has no way to {}", verb.map_or("change jobs", of_many))))
}

/// A verb of jobs as the end of a sentence.
fn of_many(verb: Verb) -> &'static str {
    match verb {
        Verb::Retry | Verb::Requeue => "run jobs again",
        Verb::Cancel => "cancel jobs",
        Verb::Promote => "run later jobs now",
        Verb::Delay => "give jobs another time",
        Verb::Prioritize => "give jobs another priority",
        Verb::Remove => "delete jobs",
        Verb::Kill => "give jobs up: it keeps no dead letters",
        Verb::Duplicate => "add a job once more",
        Verb::Edit => "replace a payload",
        Verb::Claim => "give jobs to another worker",
        Verb::Acknowledge => "settle jobs without running them",
        _ => "do that with jobs",
    }
}

/// The change a verb stands for before anything is typed.
fn plain(verb: Verb, end: End) -> Change {
    match verb {
        Verb::Retry => Change::Retry { reset_attempts: false },
        Verb::Cancel => Change::Cancel,
        Verb::Promote => Change::Promote,
        Verb::Delay => Change::Delay { by: Duration::ZERO },
        Verb::Prioritize => Change::Prioritize { priority: 0 },
        Verb::Remove => Change::Remove { children: false },
        Verb::Kill => Change::Kill { reason: KILLED.to_owned() },
        Verb::Duplicate => Change::Duplicate,
        Verb::Edit => Change::Edit { old: Default::default(), new: Default::default() },
        Verb::Add => Change::Add(Default::default()),
        Verb::Pause => Change::Pause,
        Verb::Resume => Change::Resume,
        Verb::Limit => Change::Limit(Limits::default()),
        Verb::Obliterate => Change::Obliterate,
        Verb::Trigger => Change::Trigger,
        Verb::Unschedule => Change::Unschedule,
        Verb::Requeue => Change::Requeue { end, reset_attempts: false },
        Verb::Claim => Change::Claim { consumer: CONSUMER.into(), min_idle: Duration::ZERO },
        Verb::Acknowledge => Change::Acknowledge,
        Verb::Trim => Change::Trim { keep: 0 },
        Verb::Signal => Change::Signal { order: WorkerOrder::Restart, workers: Vec::new() },
    }
}

fn of_jobs(state: &State, verbs: &[Verb], end: End) -> Result<Draft, String> {
    let selection = selection::jobs(state);
    if selection.jobs.is_empty() {
        return Err("no job is selected".to_owned());
    }
    let mut draft = Draft { out_of_sight: selection.out_of_sight, group: selection.group, ..Draft::default() };
    let mut reason = None;
    for job in &selection.jobs {
        match ability(state, job, verbs) {
            Ok(ability) => take(&mut draft, job, plain(ability.verb, end)),
            Err(refused) => {
                *draft.left_out.entry(first_sentence(&refused)).or_default() += 1;
                reason = reason.or(Some(refused));
            }
        }
    }
    if let Some(reason) = reason.filter(|_| draft.is_empty()) {
        return Err(reason);
    }
    if let ([job], 1) = (selection.jobs.as_slice(), draft.count())
        && let Some(row) = job.row
    {
        let id = JobRef { queue: job.queue.clone(), id: job.id.clone() };
        draft.one = Some(One { job: id, seen: row.clone(), now: Loaded::default() });
    }
    Ok(draft)
}

fn first_sentence(reason: &str) -> String {
    reason.split(". ").next().unwrap_or_default().to_owned()
}

fn take(draft: &mut Draft, job: &Selected<'_>, change: Change) {
    let index = draft.parts.iter().position(|part| part.queue == job.queue && part.change == change);
    let index = index.unwrap_or_else(|| {
        draft.parts.push(Part { queue: job.queue.clone(), change, scope: Scope::Jobs(Vec::new()) });
        draft.parts.len() - 1
    });
    if let Scope::Jobs(groups) = &mut draft.parts[index].scope {
        match groups.iter_mut().find(|(state, _)| *state == job.state) {
            Some((_, ids)) => ids.push(job.id.clone()),
            None => groups.push((job.state, vec![job.id.clone()])),
        }
    }
    if let Some(row) = job.row {
        *draft.names.entry(row.name.clone().unwrap_or_default()).or_default() += 1;
        if draft.samples.len() < SAMPLES {
            draft.samples.push(row.clone());
        }
    }
}

/// Everything that matches what is shown: the group of failures, the state and search of a queue, what failed in a
/// queue.
fn matching(state: &State, verbs: &[Verb]) -> Result<Question, String> {
    match state.navigation.current() {
        Screen::Failures => Ok(Question::of(whole_group(state, verbs)?)),
        Screen::Queues => of_kinds(state, verbs, BAD),
        Screen::Queue(queue) => {
            let view = state.queue.as_ref().ok_or("the queue is not open")?;
            let search = match (&view.search, view.list.filter.trim()) {
                (Some(search), "") => Some(search.search.clone()),
                (Some(_), _) => return Err("a search and a filter are open; Esc clears the filter".to_owned()),
                (None, "") => None,
                (None, filter) if is_one_word(filter) => Some(Search { text: filter.to_owned(), payload_bytes: 0 }),
                (None, _) => {
                    let text = "the server cannot search by columns: mark what you mean with *, then retry the marked";
                    return Err(text.to_owned());
                }
            };
            let verb = verb_for(state, queue, view.tab, verbs)?;
            Ok(read(queue, verb, Filter { states: vec![view.tab], search, ..Filter::default() }))
        }
        _ => Err("only a queue's list or a group of failures can be retried as a whole".to_owned()),
    }
}

/// A filter that means the same to the server's search: one word, no column, nothing excluded.
fn is_one_word(filter: &str) -> bool {
    !filter.contains([' ', ':']) && !filter.starts_with('!')
}

fn whole_group(state: &State, verbs: &[Verb]) -> Result<Draft, String> {
    let marked = state.failures.open.is_none();
    if marked {
        return of_jobs(state, verbs, End::Last);
    }
    let group = super::rows::open_failure(state).ok_or("the group is gone")?;
    let mut draft = Draft { group: Some(group.fingerprint.clone()), ..Draft::default() };
    let mut reason = None;
    for row in &group.jobs {
        let job =
            Selected { queue: row.queue.clone(), id: row.row.id.clone(), state: row.row.state, row: Some(&row.row) };
        match ability(state, &job, verbs) {
            Ok(ability) => take(&mut draft, &job, plain(ability.verb, End::Last)),
            Err(refused) => {
                *draft.left_out.entry(first_sentence(&refused)).or_default() += 1;
                reason = reason.or(Some(refused));
            }
        }
    }
    if draft.is_empty() { Err(reason.unwrap_or_else(|| "the group is empty".to_owned())) } else { Ok(draft) }
}

/// The first verb a system has for jobs of a state.
fn verb_for(state: &State, queue: &QueueId, of: StateId, verbs: &[Verb]) -> Result<Verb, String> {
    let system = queue.instance.system;
    let able = |verb: &&Verb| state.server.ability(system, **verb).is_some_and(|known| known.states.contains(&of));
    let verb = verbs.iter().find(able).copied();
    verb.ok_or_else(|| not_for(of))
}

/// Jobs that are read from the server before the question is complete.
fn read(queue: &QueueId, verb: Verb, filter: Filter) -> Question {
    let mut draft = Draft::of(queue.clone(), plain(verb, End::Last), Scope::Jobs(Vec::new()));
    draft.reading = Some(Reading { ticket: Ticket::default(), filter, looked_at: 0, done: false, error: None });
    Question::of(draft)
}

fn one_queue(state: &State) -> Result<QueueId, String> {
    super::target::queue(state).ok_or_else(|| "no queue is selected".to_owned())
}

fn instance<'a>(state: &'a State, queue: &QueueId) -> Result<&'a InstanceSample, String> {
    let found = state.shown().instances.iter().find(|instance| instance.id == queue.instance);
    found.ok_or_else(|| "this queue is not known any more".to_owned())
}

fn of_kinds(state: &State, verbs: &[Verb], kinds: &[StateKind]) -> Result<Question, String> {
    let queue = one_queue(state)?;
    let specs = instance(state, &queue)?.states.iter().filter(|spec| kinds.contains(&spec.kind));
    let states: Vec<StateId> = specs.map(|spec| spec.id).collect();
    let mut first = None;
    for of in &states {
        match verb_for(state, &queue, *of, verbs) {
            Ok(verb) => {
                let able = |of: &StateId| verb_for(state, &queue, *of, &[verb]).is_ok();
                let states = states.iter().copied().filter(able).collect();
                return Ok(read(&queue, verb, Filter { states, ..Filter::default() }));
            }
            Err(reason) => first = first.or(Some(reason)),
        }
    }
    Err(first.unwrap_or_else(|| format!("{} has no such state", queue.instance.system)))
}

fn clean(state: &State) -> Result<Question, String> {
    let queue = one_queue(state)?;
    if state.server.ability(queue.instance.system, Verb::Remove).is_none() {
        return Err(format!("{} has no way to remove jobs", queue.instance.system));
    }
    let open = match state.navigation.current() {
        Screen::Queue(_) => state.queue.as_ref().map(|view| view.tab),
        _ => None,
    };
    let states = instance(state, &queue)?.states;
    let done = states.iter().find(|spec| spec.kind == StateKind::Completed).or(states.first()).map(|spec| spec.id);
    let suggested = open.or(done).map_or_else(String::new, |of| format!("{of} 7d"));
    let mut question = read(&queue, Verb::Remove, Filter::default());
    question.value = Some(Entry::new(EntryKind::Clean, &suggested));
    Ok(question)
}

fn of_queue(state: &State, verb: Verb) -> Result<Question, String> {
    let queue = one_queue(state)?;
    let system = queue.instance.system;
    if state.server.ability(system, verb).is_none() {
        return Err(format!("{system} has no way to {} a queue", verb.word()));
    }
    let was_paused = is_paused(state, &queue);
    let draft = Draft { was_paused, ..Draft::of(queue, plain(verb, End::Last), Scope::Queue) };
    Ok(Question::of(draft))
}

fn is_paused(state: &State, queue: &QueueId) -> bool {
    state.shown().queue(queue).is_some_and(|(_, sample)| sample.conditions.paused == Some(true))
}

/// All selected queues are paused, unless all of them are already.
fn pause(state: &State) -> Result<Question, String> {
    let queues = selection::queues(state);
    let verb = if queues.iter().all(|queue| is_paused(state, queue)) { Verb::Resume } else { Verb::Pause };
    let able = |queue: &&QueueId| state.server.ability(queue.instance.system, verb).is_some();
    let parts: Vec<Part> = queues
        .iter()
        .filter(able)
        .map(|queue| Part { queue: queue.clone(), change: plain(verb, End::Last), scope: Scope::Queue })
        .collect();
    match (parts.is_empty(), queues.first()) {
        (false, _) => Ok(Question::of(Draft { parts, ..Draft::default() })),
        (true, Some(queue)) => Err(format!("{} has no way to {} a queue", queue.instance.system, verb.word())),
        (true, None) => Err("no queue is selected".to_owned()),
    }
}

fn of_schedules(state: &State, verb: Verb) -> Result<Question, String> {
    let chosen = selection::schedules(state);
    let Some((first, _)) = chosen.first() else { return Err("no schedule is selected".to_owned()) };
    let system = first.instance.system;
    let able = |queue: &QueueId| state.server.ability(queue.instance.system, verb).is_some();
    let parts: Vec<Part> = chosen
        .iter()
        .filter(|(queue, _)| able(queue))
        .map(|(queue, ids)| Part {
            queue: queue.clone(),
            change: plain(verb, End::Last),
            scope: Scope::Schedules(ids.clone()),
        })
        .collect();
    if parts.is_empty() {
        return Err(format!("{system} has no way to {} a schedule", verb.word()));
    }
    Ok(Question::of(Draft { parts, ..Draft::default() }))
}
