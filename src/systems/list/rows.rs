//! Items as rows: ids, facts, records of ids, progress of those being worked on.

use std::collections::HashMap;

use bytes::Bytes;

use super::containers::{Container, Raw};
use super::facts::{Source, document, hash_names};
use super::keys::fill;
use super::plan::{RECORD_BYTES, memory, one, start_of};
use super::sample::due;
use super::{PROCESSING, state_kind};
use crate::domain::described::{Fields, ItemKind, ListSpec, ProgressKind, Record, RecordKind};
use crate::domain::ids::JobId;
use crate::domain::job::{JobRow, Progress};
use crate::domain::text::harmless_bytes;
use crate::link::{Batch, Cmd, KEPT_BYTES, Link, MAX_VALUE_BYTES, Reply, Value};
use crate::systems::{SystemError, reply};

/// Bytes of an item without a readable name that stand in its place.
const PREVIEW_BYTES: usize = 60;

/// Memory of a hash above which its fields are not read together.
const HASH_BYTES: u64 = 64 * 1024;

/// The id of an item: what the description says, or the start of a SHA-1 of its exact bytes, `#0123456789abcdef`.
/// Of a huge item only the start counts, whether the rest was read or not.
pub fn item_id(container: &Container<'_>, bytes: &Bytes, total: u64) -> (JobId, Option<crate::domain::payload::Tree>) {
    let seen = bytes.slice(..seen(bytes, total).len());
    match container.item {
        ItemKind::Id => (JobId::from(seen.as_ref()), None),
        ItemKind::Raw => (hash_id(&seen, total), None),
        ItemKind::Json => {
            let tree = document(&seen, total);
            let id = tree.as_ref().and_then(|tree| Source::Document(tree).text(&container.fields.id));
            (id.filter(|id| !id.is_empty()).map_or_else(|| hash_id(&seen, total), JobId::from), tree)
        }
    }
}

/// As much of an item as it is known by: all of it, or the part of a huge one that a connection for looking brings.
pub fn seen(bytes: &[u8], total: u64) -> &[u8] {
    let kept = if total > MAX_VALUE_BYTES { KEPT_BYTES } else { total };
    &bytes[..bytes.len().min(usize::try_from(kept).unwrap_or(usize::MAX))]
}

/// `#` and 16 hex digits of the SHA-1 of the bytes; of a huge item, of its start and its length.
pub fn hash_id(bytes: &[u8], total: u64) -> JobId {
    let seen = seen(bytes, total);
    let mut digest = sha1_smol::Sha1::from(seen);
    if seen.len() as u64 != total {
        digest.update(total.to_string().as_bytes());
    }
    JobId::from(format!("#{}", &digest.digest().to_string()[..16]))
}

/// A further item with the id of an earlier one gets `#2`, `#3`, … behind it.
pub fn numbered(id: &JobId, occurrence: u64) -> JobId {
    if occurrence < 2 {
        return id.clone();
    }
    let mut bytes = id.as_bytes().to_vec();
    bytes.extend_from_slice(format!("#{occurrence}").as_bytes());
    JobId::from(bytes)
}

/// Takes such a number off again.
pub fn unnumbered(id: &JobId) -> Option<(JobId, u64)> {
    let bytes = id.as_bytes();
    let mark = bytes.iter().rposition(|byte| *byte == b'#').filter(|mark| *mark > 0)?;
    let number = std::str::from_utf8(&bytes[mark + 1..]).ok()?.parse().ok()?;
    (number >= 2).then(|| (JobId::from(&bytes[..mark]), number))
}

/// Rows for items of one walk, in order.
pub async fn rows(
    link: &Link,
    spec: &ListSpec,
    containers: &[Container<'_>],
    items: &[Raw],
) -> Result<Vec<JobRow>, SystemError> {
    let mut seen: HashMap<JobId, u64> = HashMap::new();
    let mut plain_ids = Vec::with_capacity(items.len());
    let mut rows = Vec::with_capacity(items.len());
    for raw in items {
        let container = &containers[raw.container];
        let (id, tree) = item_id(container, &raw.bytes, raw.total);
        let occurrence = seen.entry(id.clone()).or_default();
        *occurrence += 1;
        let mut row = JobRow::bare(numbered(&id, *occurrence), container.state, state_kind(container.state));
        row.attempts_max = spec.max_attempts;
        row.payload_bytes = Some(raw.total);
        row.worker = container.worker.as_ref().map(|worker| worker.to_text());
        row.run_at = raw.score.and_then(|score| due(spec, score));
        if spec.key.0.len() > 1 && container.state == super::WAITING {
            row.priority = i64::try_from(raw.container).ok();
        }
        match (&tree, container.item) {
            (Some(tree), _) => Source::Document(tree).describe(container.fields, &mut row),
            (None, ItemKind::Id) => {}
            (None, ItemKind::Json) => row.name = Some(format!("not JSON: {}", preview(&raw.bytes))),
            (None, ItemKind::Raw) => row.name = Some(preview(&raw.bytes)),
        }
        plain_ids.push(id);
        rows.push(row);
    }
    read_records(link, containers, items, &plain_ids, &mut rows).await?;
    read_progress(link, spec, &plain_ids, &mut rows).await?;
    Ok(rows)
}

/// The first bytes of an item, what is no text escaped.
fn preview(bytes: &[u8]) -> String {
    let mut text = harmless_bytes(&bytes[..bytes.len().min(PREVIEW_BYTES)]).into_owned();
    if bytes.len() > PREVIEW_BYTES {
        text.push('…');
    }
    text
}

/// What the records of ids tell. Of a JSON record only the start is read, of a hash only the described fields.
async fn read_records(
    link: &Link,
    containers: &[Container<'_>],
    items: &[Raw],
    ids: &[JobId],
    rows: &mut [JobRow],
) -> Result<(), SystemError> {
    let mut batch = Batch::new();
    let mut wanted = Vec::new();
    for (index, raw) in items.iter().enumerate() {
        let container = &containers[raw.container];
        if let (ItemKind::Id, Some(record)) = (container.item, container.record) {
            let key = fill(&record.key, ids[index].as_bytes());
            match record.kind {
                RecordKind::Json => batch.ask(one("STRLEN", &key)).ask(start_of(&key, RECORD_BYTES)),
                RecordKind::Hash => batch.ask(one("HLEN", &key)).ask(memory(&key)),
            };
            wanted.push((index, record, container.fields, key));
        }
    }
    let replies = link.send(&batch).await?;
    let mut hashes = Batch::new();
    let mut hash_rows = Vec::new();
    for ((index, record, fields, key), pair) in wanted.iter().zip(replies.chunks(2)) {
        let row = &mut rows[*index];
        let length = pair[0].as_ref().ok().and_then(reply::count);
        row.record_exists = length != Some(0);
        match record.kind {
            RecordKind::Json => {
                row.payload_bytes = length;
                let bytes = pair[1].as_ref().ok().and_then(reply::bytes).unwrap_or_default();
                if let Some(tree) = document(&Bytes::copy_from_slice(bytes), length.unwrap_or(0)) {
                    Source::Document(&tree).describe(fields, row);
                }
            }
            RecordKind::Hash => {
                row.payload_bytes = None;
                let memory = pair[1].as_ref().ok().and_then(reply::count);
                let names = field_names(fields);
                // A hash whose size is not told, or is large, is left to the job's own screen.
                if memory.is_some_and(|bytes| bytes <= HASH_BYTES) && row.record_exists && !names.is_empty() {
                    hashes.ask(hash_fields(key, &names));
                    hash_rows.push((*index, names, *fields));
                }
            }
        }
    }
    for ((index, names, fields), reply) in hash_rows.iter().zip(link.send(&hashes).await?) {
        if let Ok(values) = reply {
            Source::Hash(&pairs(names, &values)).describe(fields, &mut rows[*index]);
        }
    }
    Ok(())
}

/// Every described name; of a hash they are field names.
pub fn field_names(fields: &Fields) -> Vec<&str> {
    let Fields {
        id: _,
        name,
        attempts,
        attempts_max,
        created,
        started,
        finished,
        due,
        error,
        priority,
        worker,
        status,
        percent,
        step,
        total,
        text,
    } = fields;
    let plain = [name, attempts, attempts_max, error, priority, worker, status, percent, step, total, text];
    let times = [created, started, finished, due];
    hash_names(plain.into_iter().chain(times.into_iter().map(|time| &time.path)).flat_map(|paths| paths.iter()))
}

/// `HMGET` of named fields.
pub fn hash_fields(key: &[u8], names: &[&str]) -> Cmd {
    let mut command = one("HMGET", key);
    command.arg(names);
    command
}

/// Names with the values of an `HMGET`; fields that are not there are left out.
pub fn pairs(names: &[&str], values: &Value) -> Vec<(Vec<u8>, Vec<u8>)> {
    let values = reply::list(values).unwrap_or(&[]);
    names
        .iter()
        .zip(values)
        .filter_map(|(name, value)| Some((name.as_bytes().to_vec(), reply::bytes(value)?.to_vec())))
        .collect()
}

/// Progress keys of the rows that are being worked on.
async fn read_progress(link: &Link, spec: &ListSpec, ids: &[JobId], rows: &mut [JobRow]) -> Result<(), SystemError> {
    let Some(progress) = &spec.progress else { return Ok(()) };
    let wanted: Vec<usize> = (0..rows.len()).filter(|index| rows[*index].state == PROCESSING).collect();
    let mut batch = Batch::new();
    for index in &wanted {
        batch.ask(progress_command(progress, ids[*index].as_bytes()));
    }
    for (index, reply) in wanted.into_iter().zip(link.send(&batch).await?) {
        if let Some(told) = read_one_progress(progress, &reply) {
            rows[index].progress = Some(told);
        }
    }
    Ok(())
}

/// Asks for the progress of one item.
pub fn progress_command(progress: &crate::domain::described::Progress, id: &[u8]) -> Cmd {
    let key = fill(&progress.key, id);
    match progress.kind {
        ProgressKind::Hash => hash_fields(&key, &progress_names(progress)),
        ProgressKind::Json => start_of(&key, RECORD_BYTES),
        ProgressKind::Percent => start_of(&key, 64),
    }
}

fn progress_names(progress: &crate::domain::described::Progress) -> Vec<&str> {
    let all = [&progress.percent, &progress.step, &progress.total, &progress.text];
    all.into_iter().flat_map(|paths| paths.iter()).collect()
}

/// Reads the answer to [`progress_command`]. A missing key or a foreign type tells nothing.
pub fn read_one_progress(progress: &crate::domain::described::Progress, reply: &Reply) -> Option<Progress> {
    let value = reply.as_ref().ok()?;
    let crate::domain::described::Progress { percent, step, total, text, .. } = progress;
    match progress.kind {
        ProgressKind::Hash => {
            Source::Hash(&pairs(&progress_names(progress), value)).progress(percent, step, total, text)
        }
        ProgressKind::Json => {
            let bytes = Bytes::copy_from_slice(reply::bytes(value)?);
            let tree = document(&bytes, bytes.len() as u64 + 1)?;
            Source::Document(&tree).progress(percent, step, total, text)
        }
        ProgressKind::Percent => {
            let percent: f64 = reply::text(value)?.trim().trim_end_matches('%').parse().ok()?;
            let percent = percent.is_finite().then(|| percent.clamp(0.0, 100.0));
            Some(Progress { percent, ..Progress::default() })
        }
    }
}

/// Rows of ids that workers name, where no container holds what is being worked on.
pub async fn named_rows(
    link: &Link,
    spec: &ListSpec,
    container: &Container<'_>,
    named: &[(String, String)],
) -> Result<Vec<JobRow>, SystemError> {
    let mut rows = Vec::with_capacity(named.len());
    let items: Vec<Raw> = named.iter().map(|(id, _)| Raw::of_id(id.as_bytes(), 0, None)).collect();
    let ids: Vec<JobId> = named.iter().map(|(id, _)| JobId::from(id.as_str())).collect();
    for ((_, worker), id) in named.iter().zip(&ids) {
        let mut row = JobRow::bare(id.clone(), container.state, state_kind(container.state));
        row.attempts_max = spec.max_attempts;
        row.worker = Some(worker.clone());
        rows.push(row);
    }
    read_records(link, std::slice::from_ref(container), &items, &ids, &mut rows).await?;
    read_progress(link, spec, &ids, &mut rows).await?;
    Ok(rows)
}

/// The record that an item's id names, if it has one.
pub fn record_of<'a>(container: &Container<'a>) -> Option<&'a Record> {
    (container.item == ItemKind::Id).then_some(container.record).flatten()
}
