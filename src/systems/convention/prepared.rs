//! A convention with its texts parsed, and the commands that read what it describes.

use regex::Regex;

use crate::domain::described::{
    Allowed, Convention, Meaning, OutcomeRule, Owner, OwnerKind, ProgressSource, Slots, SourceKind, Values,
};
use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::{Blob, Progress};
use crate::domain::payload::Tree;
use crate::domain::text::first_line;
use crate::domain::time::Timestamp;
use crate::link::{Cmd, Reply, cmd};
use crate::systems::facts::{Source, document, hash_names};
use crate::systems::reply;

/// Bytes of a key that are read; what tells about a job stands at its start or is not found.
const KEY_BYTES: u64 = 8 * 1024;

/// Characters of a job's own words.
const WORDS: usize = 500;

/// One convention, ready to be used. What could not be parsed was told when the configuration was read.
pub struct Prepared {
    /// As described.
    pub spec: Convention,
    /// Where progress stands.
    pub progress: Vec<PreparedSource>,
    /// Who owns a running job.
    pub owner: Option<(Slots, Owner)>,
    /// Key of the cancel flag.
    pub flag: Option<Slots>,
    /// Keys that hold back a second job.
    pub dedup: Vec<Slots>,
}

/// One source of progress.
pub struct PreparedSource {
    spec: ProgressSource,
    key: Option<Slots>,
    pattern: Option<Regex>,
}

fn parsed(text: &str, allowed: Allowed) -> Option<Slots> {
    Slots::parse(text, allowed).ok()
}

/// What of a row fills a key.
fn row_values<'a>(queue: &'a QueueId, id: &'a JobId) -> Values<'a> {
    Values {
        id: id.as_bytes(),
        queue: queue.name.as_bytes(),
        instance: queue.instance.name.as_bytes(),
        item: None,
        data: &|_| None,
        now: Timestamp::default(),
    }
}

/// A key of a job that is known by its id alone.
pub fn key_of(slots: &Slots, queue: &QueueId, id: &JobId) -> Option<Vec<u8>> {
    slots.fill(&row_values(queue, id)).ok()
}

impl Prepared {
    /// Parses what has to be.
    pub fn new(spec: &Convention) -> Self {
        Self {
            progress: spec.progress.iter().map(PreparedSource::new).collect(),
            owner: spec.owner.as_ref().and_then(|owner| Some((parsed(&owner.key, Allowed::Row)?, owner.clone()))),
            flag: spec.cancel_flag.as_ref().and_then(|flag| parsed(&flag.key, Allowed::Row)),
            dedup: spec.dedup.iter().filter_map(|key| parsed(key, Allowed::Job)).collect(),
            spec: spec.clone(),
        }
    }

    /// What a result means: the rule that decides, its word, and the error it tells.
    pub fn judge(&self, result: &Tree) -> Option<Verdict<'_>> {
        let source = Source::Document(result);
        self.spec.outcome.iter().find_map(|rule| {
            let word = source.text(&rule.path)?;
            let meaning = rule.means.get(&word).or_else(|| rule.means.get(&word.to_lowercase()))?;
            let error = source.text(&rule.error).filter(|error| !error.is_empty());
            Some(Verdict { rule, word, meaning: *meaning, error })
        })
    }
}

/// What a result means.
pub struct Verdict<'a> {
    /// The rule that decided.
    pub rule: &'a OutcomeRule,
    /// The word it found.
    pub word: String,
    /// What that word means.
    pub meaning: Meaning,
    /// The error it tells.
    pub error: Option<String>,
}

impl PreparedSource {
    fn new(spec: &ProgressSource) -> Self {
        let key = spec.key.as_deref().and_then(|key| parsed(key, Allowed::Row));
        Self { key, pattern: spec.compiled(), spec: spec.clone() }
    }

    /// What it is.
    pub fn kind(&self) -> SourceKind {
        self.spec.kind
    }

    /// Asks for the progress of a job; `None` if it is no key of its own.
    pub fn command(&self, queue: &QueueId, id: &JobId) -> Option<Cmd> {
        let key = key_of(self.key.as_ref()?, queue, id)?;
        Some(match self.spec.kind {
            SourceKind::Hash => hash(&key, &self.names()),
            _ => start_of(&key),
        })
    }

    fn names(&self) -> Vec<&str> {
        let all = [&self.spec.percent, &self.spec.step, &self.spec.total, &self.spec.text];
        hash_names(all.into_iter().flat_map(|paths| paths.iter()))
    }

    /// Reads the answer. A missing key or a foreign type tells nothing.
    pub fn read(&self, reply: &Reply) -> Option<Progress> {
        let value = reply.as_ref().ok()?;
        match self.spec.kind {
            SourceKind::Hash => self.inside(&Source::Hash(&named(&self.names(), value))),
            SourceKind::Json => self.inside(&Source::Document(&tree(reply::bytes(value)?)?)),
            SourceKind::Percent => {
                let percent = share(reply::text(value)?.trim().trim_end_matches(['%', ' ']))?;
                Some(Progress { percent: Some(percent), ..Progress::default() })
            }
            SourceKind::Text => self.words(&reply::text(value)?),
            SourceKind::Result | SourceKind::Payload => None,
        }
    }

    /// Progress inside a document: a result or a payload.
    pub fn inside(&self, source: &Source<'_>) -> Option<Progress> {
        source.progress(&self.spec.percent, &self.spec.step, &self.spec.total, &self.spec.text)
    }

    fn words(&self, text: &str) -> Option<Progress> {
        let found = self.pattern.as_ref()?.captures(text)?;
        let group = |name: &str| found.name(name).map(|group| group.as_str().trim()).filter(|text| !text.is_empty());
        let mut progress = Progress {
            percent: group("percent").and_then(share),
            step: group("step").and_then(|step| step.parse().ok()),
            total: group("total").and_then(|total| total.parse().ok()),
            text: group("text").map(|text| first_line(text, WORDS)),
        };
        if let (None, Some(step), Some(total)) = (progress.percent, progress.step, progress.total)
            && total > 0
        {
            progress.percent = Some((step as f64 * 100.0 / total as f64).min(100.0));
        }
        (progress != Progress::default()).then_some(progress)
    }
}

fn share(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|percent| percent.is_finite()).map(|percent| percent.clamp(0.0, 100.0))
}

/// A document of which perhaps only the beginning was read.
fn tree(bytes: &[u8]) -> Option<Tree> {
    let total = bytes.len() as u64 + u64::from(bytes.len() as u64 >= KEY_BYTES);
    document(&bytes.to_vec().into(), total)
}

/// A stored result as values; `None` if it has none.
pub fn values_of(blob: &Blob) -> Option<Tree> {
    document(&blob.bytes, blob.total)
}

/// What an owner record says.
#[derive(Default)]
pub struct Owned {
    /// The worker's name.
    pub worker: Option<String>,
    /// Its host.
    pub host: Option<String>,
    /// Its process id.
    pub pid: Option<u64>,
    /// When it took the job.
    pub since: Option<Timestamp>,
}

impl Owned {
    /// For people.
    pub fn told(&self) -> String {
        let pid = self.pid.map(|pid| format!("pid {pid}"));
        let host = self.host.as_ref().map(|host| format!("on {host}"));
        let parts: Vec<String> = [self.worker.clone(), host, pid].into_iter().flatten().collect();
        parts.join(", ")
    }
}

/// Asks for the owner of a job.
pub fn owner_command(owner: &(Slots, Owner), queue: &QueueId, id: &JobId) -> Option<Cmd> {
    let key = key_of(&owner.0, queue, id)?;
    Some(match owner.1.kind {
        OwnerKind::Hash => hash(&key, &owner_names(&owner.1)),
        OwnerKind::Json | OwnerKind::Text => start_of(&key),
    })
}

fn owner_names(owner: &Owner) -> Vec<&str> {
    let all = [&owner.worker, &owner.host, &owner.pid, &owner.since.path];
    hash_names(all.into_iter().flat_map(|paths| paths.iter()))
}

/// Reads the answer: `Some(None)` if there is no record, `None` if it could not be read.
pub fn read_owner(owner: &Owner, reply: &Reply) -> Option<Option<Owned>> {
    let value = reply.as_ref().ok()?;
    let inside = |source: &Source<'_>| Owned {
        worker: source.text(&owner.worker),
        host: source.text(&owner.host),
        pid: source.count(&owner.pid),
        since: source.moment(&owner.since),
    };
    if owner.kind == OwnerKind::Hash {
        let fields = named(&owner_names(owner), value);
        return Some((!fields.is_empty()).then(|| inside(&Source::Hash(&fields))));
    }
    let bytes = reply::bytes(value)?;
    if bytes.is_empty() {
        return Some(None);
    }
    if owner.kind == OwnerKind::Text {
        let worker = Some(first_line(&String::from_utf8_lossy(bytes), WORDS));
        return Some(Some(Owned { worker, ..Owned::default() }));
    }
    tree(bytes).map(|tree| Some(inside(&Source::Document(&tree))))
}

fn start_of(key: &[u8]) -> Cmd {
    let mut command = cmd("GETRANGE");
    command.arg(key).arg(0).arg(KEY_BYTES - 1);
    command
}

fn hash(key: &[u8], names: &[&str]) -> Cmd {
    let mut command = cmd("HMGET");
    command.arg(key).arg(names);
    command
}

/// Names with the values of an `HMGET`; fields that are not there are left out.
fn named(names: &[&str], values: &crate::link::Value) -> Vec<(Vec<u8>, Vec<u8>)> {
    let values = reply::list(values).unwrap_or(&[]);
    let pairs = names.iter().zip(values);
    pairs.filter_map(|(name, value)| Some((name.as_bytes().to_vec(), reply::bytes(value)?.to_vec()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Value;

    fn convention(toml: &str) -> Prepared {
        Prepared::new(&toml::from_str(toml).expect("a convention"))
    }

    #[test]
    fn progress_in_a_text_is_read_by_its_groups() {
        let bot = convention(
            r#"name = "bot"
queues = "*"
progress = [{ kind = "text", key = "p:{id}", pattern = '(?s)^v1\n(?<percent>\d+)\n.*?\*(?<text>[^*\n]+)\*.*?\(Step (?<step>\d+)/(?<total>\d+)\)' }]"#,
        );
        let text = "v1\n24\n1700000000\n*Extracting partitions*\n█░ 24% (Step 6/25)";
        let told = bot.progress[0].read(&Ok(Value::BulkString(text.as_bytes().to_vec()))).expect("progress");
        assert_eq!((told.percent, told.step, told.total), (Some(24.0), Some(6), Some(25)));
        assert_eq!(told.text.as_deref(), Some("Extracting partitions"));
        assert_eq!(bot.progress[0].read(&Ok(Value::BulkString(b"v2".to_vec()))), None);
        assert_eq!(bot.progress[0].read(&Ok(Value::BulkString(Vec::new()))), None);
    }

    #[test]
    fn the_first_rule_with_a_word_for_it_decides() {
        let bot = convention(
            r#"name = "bot"
queues = "*"
outcome = [
  { path = "metadata.status", means = { completed = "completed", failed = "failed", cancelled = "cancelled" }, error = "metadata.error_context.message" },
  { path = "success", means = { "false" = "failed" }, error = "error" },
]"#,
        );
        let judge = |json: &str| {
            let tree = values_of(&Blob::whole(json.as_bytes().to_vec())).expect("values");
            bot.judge(&tree).map(|verdict| (verdict.meaning, verdict.error))
        };
        let failed =
            r#"{"success":false,"error":"e1","metadata":{"status":"failed","error_context":{"message":"e2"}}}"#;
        assert_eq!(judge(failed), Some((Meaning::Failed, Some("e2".to_owned()))));
        assert_eq!(judge(r#"{"success":false,"error":"e1"}"#), Some((Meaning::Failed, Some("e1".to_owned()))));
        assert_eq!(judge("{'success': False, 'metadata': {'status': 'running'}}"), Some((Meaning::Failed, None)));
        assert_eq!(judge(r#"{"success":true,"metadata":{"status":"cancelled"}}"#), Some((Meaning::Cancelled, None)));
        assert_eq!(judge(r#"{"success":true}"#), None);
    }

    #[test]
    fn an_owner_is_read_from_its_record_and_missed_where_there_is_none() {
        let bot = convention(
            "name = 'bot'\nqueues = '*'\nowner = { key = 'o:{id}', worker = 'worker_id', pid = 'pid', absent = 'lost' }",
        );
        let (_, owner) = bot.owner.as_ref().expect("an owner");
        let reply = Ok(Value::BulkString(br#"{"worker_id":"arq@1a2b","pid":77}"#.to_vec()));
        let owned = read_owner(owner, &reply).expect("read").expect("there");
        assert_eq!(owned.told(), "arq@1a2b, pid 77");
        assert!(read_owner(owner, &Ok(Value::BulkString(Vec::new()))).expect("read").is_none());
    }
}
