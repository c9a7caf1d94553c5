//! Parent and children of a job in a flow. Parents keep their children by full keys, in other queues and prefixes too.

use crate::domain::ids::JobId;
use crate::domain::job::Relative;
use crate::domain::text;
use crate::link::{Batch, Cmd, Link, Replies, Value, cmd};
use crate::systems::{SystemError, reply};

use super::keys::{self, Keys};

/// Most children of each kind that are named.
const MOST: u64 = 200;
/// Most memory of a hash that is read with its values.
const VALUES: u64 = 256 << 10;

/// How many children of each kind there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    /// Not finished.
    pub dependencies: Option<u64>,
    /// Completed.
    pub processed: Option<u64>,
    /// Failed, and that is let pass.
    pub failed: Option<u64>,
    /// Failed, and the parent with them.
    pub unsuccessful: Option<u64>,
    /// Bytes of memory that the results of completed and the errors of failed children take.
    pub values: [Option<u64>; 2],
}

/// Relatives of a job.
#[derive(Debug, Default)]
pub struct Family {
    /// The job that waits for it.
    pub parent: Option<Relative>,
    /// Jobs it waits or waited for.
    pub children: Vec<Relative>,
    /// What is left out.
    pub facts: Vec<(String, String)>,
}

/// Reads the relatives. `parent` and `parent_key` are the job's own fields.
pub async fn read(
    link: &Link,
    keys: &Keys,
    id: &JobId,
    sizes: &Sizes,
    parent: &Option<Vec<u8>>,
    parent_key: &Option<Vec<u8>>,
) -> Result<Family, SystemError> {
    let mut family = Family { parent: parent_of(parent.as_deref(), parent_key.as_deref()), ..Family::default() };
    let kinds = [
        ("dependencies", "unfinished", sizes.dependencies),
        ("processed", "processed", sizes.processed),
        ("failed", "failed, let pass", sizes.failed),
        ("unsuccessful", "failed", sizes.unsuccessful),
    ];
    let mut batch = Batch::new();
    let mut asked = Vec::new();
    for (part, word, size) in kinds {
        let size = size.unwrap_or(0);
        if size == 0 {
            continue;
        }
        let key = keys.part(id.as_bytes(), part);
        batch.ask(match part {
            "dependencies" => cmd("SSCAN").arg(key).arg(0).arg("COUNT").arg(MOST).to_owned(),
            "unsuccessful" => cmd("ZRANGE").arg(key).arg(0).arg(MOST - 1).to_owned(),
            "processed" => names_of_hash(key, sizes.values[0]),
            _ => names_of_hash(key, sizes.values[1]),
        });
        asked.push((part, word, size));
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    for (part, word, size) in asked {
        let value = replies.next();
        let names = match (part, &value) {
            ("unsuccessful", Ok(value)) => reply::names(value),
            ("dependencies", Ok(value)) => reply::scan(value).map(|(_, names)| names),
            ("processed", Ok(value)) => hash_names(value, sizes.values[0]),
            (_, Ok(value)) => hash_names(value, sizes.values[1]),
            (_, Err(refused)) => {
                family.facts.push((format!("children {word}"), format!("{size}; cannot be read: {refused}")));
                continue;
            }
        };
        let mut names = names.unwrap_or_default();
        names.truncate(MOST as usize);
        if (names.len() as u64) < size {
            family.facts.push((format!("children {word}"), format!("{} in all", text::count(size))));
        }
        family.children.extend(names.into_iter().map(|key| Relative {
            job: keys::job_of(&key),
            label: String::from_utf8_lossy(&key).into_owned(),
            state: Some(word.to_owned()),
        }));
    }
    Ok(family)
}

/// A step over a hash whose values are results of any size. Where they take much memory only the names are asked for,
/// which servers before 7.4 refuse.
fn names_of_hash(key: Vec<u8>, bytes: Option<u64>) -> Cmd {
    let mut command = cmd("HSCAN");
    command.arg(key).arg(0).arg("COUNT").arg(MOST);
    if !values_are_small(bytes) {
        command.arg("NOVALUES");
    }
    command
}

fn values_are_small(bytes: Option<u64>) -> bool {
    bytes.is_some_and(|bytes| bytes <= VALUES)
}

fn hash_names(value: &Value, bytes: Option<u64>) -> Option<Vec<Vec<u8>>> {
    let (_, items) = reply::scan(value)?;
    let each = if values_are_small(bytes) { 2 } else { 1 };
    Some(items.into_iter().step_by(each).collect())
}

/// The parent from the field `parent` (which names queue and id apart), else from `parentKey`.
fn parent_of(parent: Option<&[u8]>, parent_key: Option<&[u8]>) -> Option<Relative> {
    let parsed: Option<serde_json::Value> = parent.and_then(|parent| serde_json::from_slice(parent).ok());
    let exact = parsed.as_ref().and_then(|parsed| {
        let (base, id) = (parsed.get("queueKey")?.as_str()?, parsed.get("id")?.as_str()?);
        Some((keys::job_in(base.as_bytes(), id.as_bytes()), format!("{base}:{id}")))
    });
    let (job, label) = exact.or_else(|| {
        let key = parent_key?;
        Some((keys::job_of(key), String::from_utf8_lossy(key).into_owned()))
    })?;
    Some(Relative { job, label, state: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::QueueId;

    #[test]
    fn a_parent_is_named_by_its_fields_rather_than_its_key() {
        let parent = br#"{"id":"repeat:a:1","queueKey":"app:prod:mail"}"#;
        let relative = parent_of(Some(parent), Some(b"app:prod:mail:repeat:a:1")).unwrap();
        let job = relative.job.unwrap();
        assert_eq!(
            (job.queue, job.id.to_text()),
            (QueueId::new("bullmq", "app:prod", "mail"), "repeat:a:1".to_owned())
        );
        let relative = parent_of(Some(b"{broken"), Some(b"bull:mail:7")).unwrap();
        assert_eq!(relative.job.unwrap().id, "7".into());
        assert_eq!(parent_of(None, None), None);
    }
}
