//! Parent and children of a job in a flow. Parents keep their children by full keys, in other queues and prefixes too.

use crate::domain::ids::JobId;
use crate::domain::job::Relative;
use crate::domain::text;
use crate::link::{Batch, Link, Replies, cmd};
use crate::systems::{SystemError, reply};

use super::keys::{self, Keys};

/// Most children of each kind that are named.
const MOST: u64 = 200;

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
        let key = keys.part(id.as_bytes(), part);
        let mut command = match part {
            "dependencies" => cmd("SSCAN"),
            "unsuccessful" => cmd("ZRANGE"),
            // Values are results of any size: only the names are fetched, and only of a bounded number.
            _ if size > MOST => {
                family.facts.push((format!("children {word}"), format!("{}, not named here", text::count(size))));
                continue;
            }
            _ => cmd("HKEYS"),
        };
        if size == 0 {
            continue;
        }
        command.arg(key);
        match part {
            "dependencies" => command.arg(0).arg("COUNT").arg(MOST),
            "unsuccessful" => command.arg(0).arg(MOST - 1),
            _ => &mut command,
        };
        batch.ask(command);
        asked.push((part, word, size));
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    for (part, word, size) in asked {
        let value = replies.next();
        let names = match (part, &value) {
            ("dependencies", Ok(value)) => reply::scan(value).map(|(_, names)| names),
            (_, Ok(value)) => reply::names(value),
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
