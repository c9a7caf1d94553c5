//! What becomes of an item after an attempt, and what is written into it.

use std::time::Duration;

use serde_json::json;

use super::item::{Entry, rewritten};
use super::place;
use crate::domain::described::{ItemKind, ListSpec, split_path};
use crate::domain::text::first_line;
use crate::systems::consume::{Claim, Verdict};

/// Characters of an error that are written into an item.
const ERROR_CHARACTERS: usize = 2_000;

/// Entries of a dead item where the description names no others: attempts made, the last error, when it was given up.
const ATTEMPTS: &str = "attempts";
const ERROR: &str = "last_error";
const FINISHED: &str = "failed_at";

/// The description with the places where a runner of qtop writes why, and when, it gave an item up, so that the screens
/// find them. A place inside the application's own entries is never written to, so the other is looked at first then.
/// Attempts are left out: to set back what is not described is refused with the reason.
pub fn describe_dead(mut spec: ListSpec) -> ListSpec {
    let Some(dead) = spec.dead.as_mut().filter(|dead| dead.item.unwrap_or(spec.item) == ItemKind::Json) else {
        return spec;
    };
    let fields = dead.fields.get_or_insert_with(|| spec.fields.clone());
    for (paths, written) in [(&mut fields.error, ERROR), (&mut fields.finished.path, FINISHED)] {
        if paths.iter().next().is_none_or(|path| split_path(path).len() != 1) {
            paths.0.insert(0, written.to_owned());
        }
    }
    spec
}

/// Where an item goes, and as what.
pub struct Outgoing {
    /// The script's word for it.
    pub word: &'static str,
    /// The item as it is to lie there.
    pub stored: Vec<u8>,
    /// Until it is due.
    pub wait: Duration,
    /// Attempts made.
    pub attempts: u32,
    /// Workers it has killed.
    pub deaths: u32,
}

/// What becomes of an item after this verdict.
pub fn outgoing(spec: &ListSpec, claim: &Claim, verdict: &Verdict) -> Outgoing {
    let fields = &spec.fields;
    let same = |word, wait| Outgoing {
        word,
        stored: claim.token.to_vec(),
        wait,
        attempts: claim.attempts_made,
        deaths: claim.deaths,
    };
    let made = claim.attempts_made + 1;
    let document = spec.item == ItemKind::Json;
    match verdict {
        Verdict::Done(_) => same("done", Duration::ZERO),
        Verdict::Return => same("return", Duration::ZERO),
        Verdict::Postpone(wait) => same("postpone", *wait),
        Verdict::Retry { message, delay, crashed, .. } => {
            let error = first_line(message, ERROR_CHARACTERS);
            let entries = [
                Entry { paths: &fields.attempts, otherwise: None, value: json!(made) },
                Entry { paths: &fields.error, otherwise: None, value: json!(error) },
            ];
            let stored = document.then(|| rewritten(&claim.token, &entries)).flatten();
            Outgoing {
                word: "retry",
                stored: stored.unwrap_or_else(|| claim.token.to_vec()),
                wait: *delay,
                attempts: made,
                deaths: claim.deaths + u32::from(*crashed),
            }
        }
        Verdict::Dead { message, .. } => {
            let fields = spec.dead.as_ref().and_then(|dead| dead.fields.as_ref()).unwrap_or(fields);
            let entries = [
                Entry { paths: &fields.attempts, otherwise: Some(ATTEMPTS), value: json!(made) },
                Entry {
                    paths: &fields.error,
                    otherwise: Some(ERROR),
                    value: json!(first_line(message, ERROR_CHARACTERS)),
                },
                Entry {
                    paths: &fields.finished.path,
                    otherwise: Some(FINISHED),
                    value: place::moment(&fields.finished, claim.claimed_at),
                },
            ];
            // What is no document is kept as it is: undecodable items are never rewritten.
            let stored = document.then(|| rewritten(&claim.token, &entries)).flatten();
            let stored = stored.unwrap_or_else(|| claim.token.to_vec());
            Outgoing { stored, attempts: 0, deaths: 0, ..same("dead", Duration::ZERO) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> ListSpec {
        describe_dead(toml::from_str(text).expect("a description"))
    }

    fn places(spec: &ListSpec) -> [Vec<&str>; 2] {
        let fields = spec.dead.as_ref().and_then(|dead| dead.fields.as_ref()).expect("fields");
        [fields.error.iter().collect(), fields.finished.path.iter().collect()]
    }

    #[test]
    fn the_screens_look_where_the_runner_writes() {
        let base = "name = \"mail\"\nkey = \"mail\"\ndead = \"mail:dead\"\n";
        assert_eq!(places(&described(base)), [["last_error"], ["failed_at"]]);
        let named = described(&format!("{base}fields = {{ error = \"why\", finished = \"at\" }}"));
        assert_eq!(places(&named), [["why"], ["at"]]);
        let deeper = described(&format!("{base}fields = {{ error = [\"meta.why\", \"error\"] }}"));
        assert_eq!(places(&deeper), [vec!["last_error", "meta.why", "error"], vec!["failed_at"]]);
        let raw = described(&format!("{base}item = \"raw\""));
        assert!(raw.dead.is_some_and(|dead| dead.fields.is_none()), "nothing is written into those");
    }
}
