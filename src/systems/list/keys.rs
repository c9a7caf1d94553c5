//! Keys of described lists: filling templates, matching globs, and telling which other lists look like queues.

use crate::domain::described::ListSpec;
use crate::domain::ids::Name;
use crate::domain::snapshot::Offer;

/// Words in a key that make a list worth offering.
const QUEUE_WORDS: &[&str] = &["queue", "jobs", "tasks", "dead", "dlq", "processing"];

/// Starts of keys that other systems own: Laravel, Sidekiq and Resque, Bull and BullMQ, RQ, asynq, Celery and kombu, ARQ.
const OWNED_STARTS: &[&str] =
    &["queues:", "queue:", "resque:", "bull:", "rq:", "asynq:", "celery", "_kombu", "unacked", "arq:"];

/// Ends of keys that BullMQ, Bull and Laravel own under any prefix.
const OWNED_ENDS: &[&str] = &[":wait", ":active", ":paused", ":logs", ":notify"];

/// Parts of keys that Laravel (with its own prefix) and Resque (with a namespace) own.
const OWNED_PARTS: &[&str] = &["queues:", ":queue:"];

/// The template with the id in its place. Other braces stay: they may be a cluster's hash tag.
pub fn fill(template: &str, id: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(template.len() + id.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{id}") {
        key.extend_from_slice(before.as_bytes());
        key.extend_from_slice(id);
        rest = after;
    }
    key.extend_from_slice(rest.as_bytes());
    key
}

/// What the first `*` of a glob stands for in a key, or the whole key if it does not fit.
pub fn starred(pattern: &str, key: &[u8]) -> Name {
    let prefix = crate::domain::described::literal_prefix(pattern);
    let suffix = pattern.rsplit_once('*').map_or("", |(_, suffix)| suffix);
    // Only a plain end can be cut off: one with wildcards or escapes has no fixed length.
    let suffix = if suffix.contains(['?', '[', ']', '\\']) { "" } else { suffix };
    key.strip_prefix(prefix.as_bytes())
        .and_then(|rest| rest.strip_suffix(suffix.as_bytes()))
        .filter(|name| !name.is_empty())
        .map_or_else(|| Name::from(key), Name::from)
}

/// True if a description names the key, or its workers' keys begin like it.
pub fn is_described(specs: &[ListSpec], key: &[u8]) -> bool {
    specs.iter().any(|spec| {
        let exact = spec
            .key
            .iter()
            .chain(spec.processing.iter())
            .chain(spec.dead.iter().flat_map(|dead| dead.key.iter()))
            .any(|known| known.as_bytes() == key);
        let started = spec.processing_pattern.as_ref().is_some_and(|pattern| {
            let prefix = crate::domain::described::literal_prefix(pattern);
            !prefix.is_empty() && key.starts_with(prefix.as_bytes())
        });
        exact || started
    })
}

/// A list that looks like a queue and belongs to no system qtop knows, with the TOML that would describe it.
pub fn offer(key: &[u8]) -> Option<Offer> {
    // A key that is no text cannot be written into the configuration.
    let text = std::str::from_utf8(key).ok()?;
    let lower = text.to_lowercase();
    if !QUEUE_WORDS.iter().any(|word| lower.contains(word)) || is_owned(&lower) {
        return None;
    }
    Some(Offer { key: Name::from(key), kind: "list", length: None, recipe: recipe(text, &lower) })
}

fn is_owned(lower: &str) -> bool {
    OWNED_STARTS.iter().any(|start| lower.starts_with(start))
        || OWNED_ENDS.iter().any(|end| lower.ends_with(end))
        || OWNED_PARTS.iter().any(|part| lower.contains(part))
}

/// The `[[list]]` table for a key, by what its name suggests. Every guess is marked as one.
fn recipe(key: &str, lower: &str) -> String {
    let quoted = toml::Value::String(key.to_owned()).to_string();
    if lower.contains("dead") || lower.contains("dlq") {
        return format!(
            "[[list]]\nname = {quoted}\n# key = \"…\"  # the queue these items come from, if it is a list\ndead = {quoted}\n"
        );
    }
    if lower.contains("processing") {
        return format!(
            "[[list]]\nname = {quoted}\nkey = \"…\"  # the queue these items are taken from\nprocessing = {quoted}\n"
        );
    }
    format!(
        "[[list]]\nname = {quoted}\nkey = {quoted}\nnext = \"right\"  # \"left\" if workers take with LPOP or BLPOP\n\
         item = \"json\"  # \"id\" for ids of records, \"raw\" for anything else\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s15_templates_and_globs_take_odd_ids() {
        assert_eq!(fill("app:{t}:job:{id}", b"a\n{id}*"), b"app:{t}:job:a\n{id}*");
        assert_eq!(fill("{id}:{id}", b"\xff"), b"\xff:\xff");
        assert_eq!(starred("w:*:beat", b"w:host-1:beat"), Name::from("host-1"));
        assert_eq!(starred("w:*", b"w:a:b"), Name::from("a:b"));
        assert_eq!(starred(r"w\*:*", b"w*:x"), Name::from("x"));
        assert_eq!(starred("w:*", b"other"), Name::from("other"));
    }

    #[test]
    fn what_looks_like_a_queue_is_offered_and_the_rest_is_not() {
        for key in ["message_queue", "app:Tasks", "dead_letter_queue", "mail:dlq", "x:processing:w1", "jobs\"\n"] {
            let offer = offer(key.as_bytes()).unwrap_or_else(|| panic!("{key} is not offered"));
            let parsed: toml::Table = toml::from_str(&offer.recipe).unwrap();
            assert_eq!(parsed["list"][0]["name"].as_str(), Some(key), "{}", offer.recipe);
        }
        for key in [
            "cart:17",
            "queues:default",
            "app_database_queues:default",
            "queue:critical",
            "ns:queue:low",
            "bull:jobs:wait",
            "app:mailqueue:active",
            "app:mailqueue:12:logs",
            "rq:queue:default",
            "asynq:{tasks}:pending",
            "celery",
            "_kombu.binding.tasks",
            "arq:queue",
        ] {
            assert_eq!(offer(key.as_bytes()), None, "{key}");
        }
        assert_eq!(offer(b"queue\xff"), None);
    }

    #[test]
    fn described_keys_are_not_offered_again() {
        let spec = ListSpec {
            key: "message_queue".into(),
            processing_pattern: Some("message_queue:processing:*".to_owned()),
            ..ListSpec::default()
        };
        let specs = [spec];
        assert!(is_described(&specs, b"message_queue"));
        assert!(is_described(&specs, b"message_queue:processing:w1"));
        assert!(!is_described(&specs, b"message_queue2"));
    }
}
