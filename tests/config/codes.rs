//! Codes that an alert may name: all there are, and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use qtop::domain::alert::CODES;

/// Source files that make findings; those that answer "why does it not move?" have codes of their own.
fn sources(folder: &Path, found: &mut Vec<String>) {
    let entries = fs::read_dir(folder).expect("a folder of the sources");
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            sources(&path, found);
        } else if name.ends_with(".rs") && !name.contains("why") && !name.contains("tests") && name != "detail.rs" {
            let text = fs::read_to_string(&path).expect("a source");
            // A reason is an answer, no finding.
            let text = text.split("#[cfg(test)]").next().unwrap_or_default().replace("reason(Severity::", "");
            let mut parts = text.split("Reason { ");
            let first = parts.next().unwrap_or_default();
            let rest = parts.map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
            found.push(std::iter::once(first).chain(rest).collect());
        }
    }
}

/// The text between quotes that `rest` begins with, after white space.
fn quoted(rest: &str) -> Option<&str> {
    rest.trim_start().strip_prefix('"')?.split('"').next()
}

#[test]
fn every_finding_has_a_code_that_an_alert_may_name() {
    let mut texts = Vec::new();
    for folder in ["src/domain", "src/systems", "src/engine"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut texts);
    }
    let mut made = BTreeSet::new();
    for text in &texts {
        for severity in ["Severity::Info,", "Severity::Warn,", "Severity::Critical,"] {
            made.extend(text.split(severity).skip(1).filter_map(quoted));
        }
        // Found beside its severity, which is chosen before.
        made.extend(text.split("Warning { severity, code: ").skip(1).filter_map(quoted));
        made.extend(text.split("code: ").skip(1).filter_map(quoted));
        made.extend(text.split("warning(severity, ").skip(1).filter_map(quoted));
        let constants = ["NONE_EXPECTED: &str =", "UNKNOWN_LIBRARY: &str =", "UNREACHABLE: &str ="];
        made.extend(constants.iter().flat_map(|name| text.split(name).skip(1).filter_map(quoted)));
    }
    let known: BTreeSet<&str> = CODES.iter().copied().collect();
    assert_eq!(made, known);
    assert_eq!(known.len(), CODES.len(), "each once");
}
