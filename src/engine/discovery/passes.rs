//! Which passes over the keyspace are made for all systems together, and in which order.
//!
//! Every pass costs the server the whole keyspace. A pass is therefore left out where another one meets all its keys
//! anyway; those that find queues come first, those that only offer keys to a person last.

use std::sync::Arc;

use crate::domain::address;
use crate::domain::ids::Name;
use crate::systems::{ScanPass, System};

/// True if a system that asked for `scans` is to see a key that `pass` met.
pub fn concerns(pass: &ScanPass, scans: &[ScanPass], key: &[u8]) -> bool {
    let matches = |pattern| address::glob(pattern, &Name::from(key).to_text());
    scans.iter().any(|scan| scan == pass || (covers(pass, scan) && matches(scan.pattern)))
}

/// All passes, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    /// Those that find queues, in the order of the registry.
    pub queues: Vec<ScanPass>,
    /// Those that only offer keys.
    pub offers: Vec<ScanPass>,
}

impl Passes {
    /// Of these systems. Where nothing finds queues, the offers are what somebody waits for.
    pub fn of<'a>(systems: impl Iterator<Item = &'a Arc<dyn System>>) -> Self {
        let (mut queues, mut offers): (Vec<ScanPass>, Vec<ScanPass>) = (Vec::new(), Vec::new());
        for system in systems {
            let passes = if system.scans_only_offer() { &mut offers } else { &mut queues };
            passes.extend(system.spec().scans);
        }
        let queues = without_covered(&queues, &[]);
        let offers = without_covered(&offers, &queues);
        if queues.is_empty() { Self { queues: offers, offers: Vec::new() } } else { Self { queues, offers } }
    }
}

/// True if every key the narrow pass meets is met by the wide one with its type known as well.
fn covers(wide: &ScanPass, narrow: &ScanPass) -> bool {
    wide.pattern == "*" && wide.kind == narrow.kind
}

fn without_covered(scans: &[ScanPass], others: &[ScanPass]) -> Vec<ScanPass> {
    let mut kept: Vec<ScanPass> = Vec::new();
    for scan in scans {
        let covered = scans.iter().chain(others).any(|wide| wide != scan && covers(wide, scan));
        if !covered && !kept.contains(scan) && !others.contains(scan) {
            kept.push(*scan);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: ScanPass = ScanPass { pattern: "*", kind: Some("zset") };
    const NARROW: ScanPass = ScanPass { pattern: "*queues:*", kind: Some("zset") };
    const NAMED: ScanPass = ScanPass { pattern: "*:meta", kind: None };

    #[test]
    fn p10_a_pass_that_another_one_includes_is_not_made() {
        assert_eq!(without_covered(&[NARROW, NAMED, WIDE, NAMED], &[]), [NAMED, WIDE]);
        assert_eq!(without_covered(&[NARROW, NAMED], &[WIDE]), [NAMED]);
        assert_eq!(without_covered(&[WIDE], &[WIDE]), []);
    }

    #[test]
    fn p10_what_an_including_pass_meets_is_shown_to_whom_it_concerns() {
        assert!(concerns(&WIDE, &[NARROW], b"app:queues:mail") && !concerns(&WIDE, &[NARROW], b"arq:queue"));
        assert!(concerns(&WIDE, &[WIDE], b"arq:queue") && !concerns(&WIDE, &[NAMED], b"bull:mail:meta"));
    }
}
