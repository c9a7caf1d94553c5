//! `qtop import`: adds the jobs of an export, through the system's own way of adding.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::how::{How, plan};
use super::{Counter, ask, report, text};
use crate::cli::address;
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::config::Config;
use crate::domain::change::Scope;
use crate::domain::ids::{JobId, QueueId};
use crate::domain::mutation::{Change, NewJob};
use crate::domain::time::Timestamp;
use crate::engine::change::import::{Guest, import};
use crate::engine::change::import_log::{ImportLog, Known, look};
use crate::engine::executor::{told, told_change};

/// Ids looked for in one go.
const PIECE: usize = 50;
/// Said of a job that was sent when an earlier run was ended.
const IN_DOUBT: &str = "it was being added when qtop was ended, and nothing tells whether it was: look for it, and add it \
                        by `qtop add` if it is not there";
/// Jobs named in a preview.
const SAMPLES: usize = 5;

/// `qtop import`.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// What `qtop export` wrote as json or ndjson; - for standard input.
    pub file: PathBuf,
    /// Where the jobs go; without it to the queue they came from.
    pub queue: Option<String>,
    /// Give every job an id of its own, also where the old one is free.
    #[arg(long)]
    pub new_ids: bool,
    /// Begin from the first job again, also where an earlier run of the same import was interrupted.
    #[arg(long)]
    pub anew: bool,
    #[command(flatten)]
    pub how: How,
}

/// One job of the file. What else stands there is for people.
#[derive(Debug, Deserialize)]
struct Exported {
    id: String,
    queue: String,
    name: Option<String>,
    run_at: Option<String>,
    priority: Option<i64>,
    attempts_max: Option<u64>,
    payload: Box<RawValue>,
    payload_encoding: String,
    payload_cut: bool,
}

/// The jobs of a file, read before anything is connected.
#[derive(Debug)]
pub struct Cargo {
    jobs: Vec<Exported>,
    /// Of the file's bytes.
    digest: String,
    /// The queue they go to, as it was typed or as the file names it.
    pub queue: String,
}

/// Reads the file.
pub fn load(args: &ImportArgs) -> Result<Cargo, Failure> {
    let bytes = text::read(&args.file)?;
    let wrong = |what: String| {
        Failure::new(Exit::Refused, format!("nothing was changed: {} is no export: {what}", args.file.display()))
            .with_remedy("give a file that `qtop export --format json` or `ndjson` wrote")
    };
    let document = std::str::from_utf8(&bytes).map_err(|error| wrong(error.to_string()))?;
    let mut jobs: Vec<Exported> = Vec::new();
    if document.trim_start().starts_with('[') {
        jobs = serde_json::from_str(document).map_err(|error| wrong(error.to_string()))?;
    } else {
        for (index, line) in document.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            jobs.push(serde_json::from_str(line).map_err(|error| wrong(format!("line {}: {error}", index + 1)))?);
        }
    }
    let Some(first) = jobs.first() else { return Err(wrong("it holds no jobs".to_owned())) };
    let queue = match &args.queue {
        Some(queue) => queue.clone(),
        None if jobs.iter().all(|job| job.queue == first.queue) => first.queue.clone(),
        None => return Err(wrong("its jobs come from several queues; name one".to_owned())),
    };
    Ok(Cargo { jobs, digest: sha1_smol::Sha1::from(&bytes).digest().to_string(), queue })
}

/// The bytes that were exported.
pub fn payload(raw: &RawValue, encoding: &str) -> Result<Vec<u8>, String> {
    let string = || serde_json::from_str::<String>(raw.get()).map_err(|error| error.to_string());
    match encoding {
        "json" => Ok(raw.get().as_bytes().to_vec()),
        "text" => Ok(string()?.into_bytes()),
        "base64" => STANDARD.decode(string()?).map_err(|error| error.to_string()),
        other => Err(format!("payload_encoding {other:?} is not known")),
    }
}

/// Adds the jobs.
pub async fn run(
    args: &ImportArgs,
    cargo: Cargo,
    session: Session,
    config: &Config,
    state: Option<&std::path::Path>,
    output: &crate::cli::output::Output,
) -> Result<Exit, Failure> {
    let queue = address::find(&cargo.queue, session.snapshot())?;
    let mut counter = Counter::open(config, state, args.how.unlock, output)?;
    let how = &args.how;
    let now = session.snapshot().taken_at;
    let import_name = name_of(&counter.server, &queue, args.new_ids, &cargo.digest);
    let known = match args.anew {
        true => Known::default(),
        false => look(&counter.places, &import_name).map_err(|error| told_change(&error))?,
    };
    let Sorted { guests, refused, before } =
        sorted(&mut counter, &queue, &cargo.jobs, args.new_ids, now, &known).await?;
    let job = guests.first().map(|guest| guest.job.clone()).unwrap_or_default();
    let plan = plan(&counter.server, &queue, Change::Add(job), Scope::Queue, how);
    let mut lines = counter.describe(&plan, &[])?;
    lines.push(format!("{} jobs of {} are added", guests.len(), args.file.display()));
    if before > 0 {
        lines.push(format!(
            "{before} were added before this import was interrupted: it goes on behind them (--anew does not)"
        ));
    }
    lines.extend(guests.iter().take(SAMPLES).map(|guest| format!("  for example {} {}", guest.old, guest.job.name)));
    lines.extend(refused.iter().take(SAMPLES).map(|(id, reason)| format!("left out {id}: {reason}")));
    if how.dry_run {
        lines.extend((refused.len() > SAMPLES).then(|| format!("left out in all: {}", refused.len())));
        output.text(&lines.join("\n"))?;
        return Ok(Exit::Good);
    }
    if !how.yes {
        ask::yes(&lines, &format!("Add {} jobs?", guests.len()))?;
    }
    let system = counter.system(&queue)?;
    let log = ImportLog::open(&counter.places, &import_name, args.anew).map_err(|error| told_change(&error))?;
    let mut finished = import(&mut counter.desk, &*system, &counter.places, &plan, guests, log).await;
    if finished.left > 0 {
        output.note("the same command goes on with the rest");
    }
    finished.outcome.refused.extend(refused);
    report::print_as("import", &counter, &plan, &finished, how.json)
}

/// Names an import: the same file into the same queue of the same server, added in the same way.
fn name_of(server: &str, queue: &QueueId, new_ids: bool, digest: &str) -> String {
    let whole = format!("{server}\0{}\0{new_ids}\0{digest}", queue.full_address());
    sha1_smol::Sha1::from(whole.as_bytes()).digest().to_string()
}

/// The jobs of a file.
#[derive(Default)]
struct Sorted {
    /// Those that can be added.
    guests: Vec<Guest>,
    /// Those that cannot, with the reason.
    refused: Vec<(JobId, String)>,
    /// So many were added by a run that was interrupted.
    before: usize,
}

async fn sorted(
    counter: &mut Counter<'_>,
    queue: &QueueId,
    jobs: &[Exported],
    new_ids: bool,
    now: Timestamp,
    known: &Known,
) -> Result<Sorted, Failure> {
    let system = counter.system(queue)?;
    let link = counter.desk.link().await.map_err(|error| told(&error.into()))?;
    let Sorted { mut guests, mut refused, mut before } = Sorted::default();
    let mut place = 0;
    let mut seen: HashSet<&str> = HashSet::new();
    for piece in jobs.chunks(PIECE) {
        let ids: Vec<JobId> = piece.iter().map(|job| job.id.as_str().into()).collect();
        let found = system.locate(&link, queue, &ids).await.map_err(|error| told(&error))?;
        for ((job, id), state) in piece.iter().zip(ids).zip(found) {
            let here = place;
            place += 1;
            let doubtful = known.doubtful.contains(&here);
            // Only an id that is taken over tells that its job is there; other ids may be those of any job.
            let is_there = || !new_ids && state.is_some() && has_own_id(job, queue);
            if known.added.contains(&here) || doubtful && is_there() {
                seen.insert(&job.id);
                before += 1;
                continue;
            }
            if doubtful {
                refused.push((id, IN_DOUBT.to_owned()));
                continue;
            }
            if let (Some(state), false) = (state, new_ids) {
                refused.push((id, format!("its id is taken: a {state} job has it; --new-ids adds it as another one")));
                continue;
            }
            if !seen.insert(&job.id) && !new_ids {
                refused.push((id, "the file has it twice".to_owned()));
                continue;
            }
            match new_job(job, &id, queue, new_ids, now) {
                Ok(job) => guests.push(Guest { place: here, old: id, job }),
                Err(reason) => refused.push((id, reason)),
            }
        }
    }
    Ok(Sorted { guests, refused, before })
}

/// Lists and streams know nothing but bytes.
fn is_bare(queue: &QueueId) -> bool {
    queue.instance.system != crate::systems::bullmq::NAME
}

/// True if a system takes the id over; others it gives itself.
fn has_own_id(job: &Exported, queue: &QueueId) -> bool {
    !is_bare(queue) && !job.id.contains(':') && job.id.parse::<i64>().is_err()
}

fn new_job(job: &Exported, id: &JobId, queue: &QueueId, new_ids: bool, now: Timestamp) -> Result<NewJob, String> {
    if job.payload_cut {
        return Err("its payload was too large to be exported whole".to_owned());
    }
    let data = payload(&job.payload, &job.payload_encoding)?;
    let due = job.run_at.as_ref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let delay = due.map_or(Duration::ZERO, |due| Timestamp(due.as_millisecond()).until(now));
    let bare = is_bare(queue);
    let own = !new_ids && has_own_id(job, queue);
    Ok(NewJob {
        id: own.then(|| id.clone()),
        name: job.name.clone().unwrap_or_default(),
        data: data.into(),
        delay,
        priority: if bare { 0 } else { job.priority.unwrap_or(0) },
        attempts: if bare { None } else { job.attempts_max },
        ..NewJob::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_no_id_of_ones_own_and_a_later_job_stays_later() {
        let queue = QueueId::new("bullmq", "bull", "mail");
        let read = |id: &str| -> Exported {
            let text = format!(
                r#"{{"id":"{id}","queue":"q","name":"n","run_at":"1970-01-01T00:00:09Z","priority":3,"attempts_max":2,
                    "payload":{{"n": 1.0}},"payload_encoding":"json","payload_cut":false,"error":"x"}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let make = |id: &str| new_job(&read(id), &id.into(), &queue, false, Timestamp(2_000)).unwrap();
        assert_eq!((make("17").id, make("a:1").id, make("mine").id), (None, None, Some("mine".into())));
        assert_eq!((make("17").delay, make("17").data.as_ref()), (Duration::from_secs(7), &br#"{"n": 1.0}"#[..]));
        let list = QueueId::new("list", "", "l");
        assert_eq!(new_job(&read("mine"), &"mine".into(), &list, false, Timestamp(2_000)).unwrap().attempts, None);
    }
}
