//! Setting attempts back inside a JSON document by exchanging only the bytes of those values (R22): order, spacing,
//! doubled names and long numbers stay as they are.

use std::ops::Range;

use serde_json::value::RawValue;

use crate::domain::described::{Fields, Paths, split_path};
use crate::systems::members::Members;

/// The document with its attempts at zero and its error forgotten, as far as the description names them.
///
/// # Errors
///
/// Why it cannot be done, for people.
pub fn reset(document: &[u8], fields: &Fields) -> Result<Vec<u8>, String> {
    if fields.attempts.is_empty() {
        return Err("the description names no field with attempts: add fields.attempts".to_owned());
    }
    let text = std::str::from_utf8(document).map_err(|_| "it is not JSON".to_owned())?;
    if let Err(error) = serde_json::from_str::<&RawValue>(text) {
        return Err(format!("it is not JSON: {error}"));
    }
    let mut changes: Vec<(Range<usize>, &str)> = Vec::new();
    for span in first(text, &fields.attempts) {
        let zero = if text[span.clone()].starts_with('"') { "\"0\"" } else { "0" };
        changes.push((span, zero));
    }
    changes.extend(first(text, &fields.error).into_iter().map(|span| (span, "null")));
    changes.sort_by_key(|(span, _)| span.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (span, new) in changes {
        // One path may lead into a value that another one replaces.
        if span.start < at {
            continue;
        }
        out.push_str(&text[at..span.start]);
        out.push_str(new);
        at = span.end;
    }
    out.push_str(&text[at..]);
    Ok(out.into_bytes())
}

/// The values of the first path that leads to one other than null; several where a name is doubled.
fn first(text: &str, paths: &Paths) -> Vec<Range<usize>> {
    let found = |path| {
        let mut spans = Vec::new();
        follow(text, text, &split_path(path), &mut spans);
        spans.retain(|span: &Range<usize>| &text[span.clone()] != "null");
        spans
    };
    paths.iter().map(found).find(|spans| !spans.is_empty()).unwrap_or_default()
}

fn follow(whole: &str, part: &str, steps: &[String], spans: &mut Vec<Range<usize>>) {
    let part = part.trim();
    let Some((step, rest)) = steps.split_first() else {
        // `part` is a slice of `whole`: serde_json borrows raw values from its input.
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        spans.push(start..start + part.len());
        return;
    };
    if part.starts_with('{') {
        let Ok(members) = serde_json::from_str::<Members<'_>>(part) else { return };
        for (name, value) in members.0 {
            if name == *step {
                follow(whole, value.get(), rest, spans);
            }
        }
    } else if part.starts_with('[') {
        let (Ok(items), Ok(index)) = (serde_json::from_str::<Vec<&RawValue>>(part), step.parse::<usize>()) else {
            return;
        };
        if let Some(item) = items.get(index) {
            follow(whole, item.get(), rest, spans);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields {
            attempts: Paths(vec!["tries".to_owned(), "meta.attempts".to_owned()]),
            error: "last.error".into(),
            ..Fields::default()
        }
    }

    #[test]
    fn r22_only_the_named_values_change() {
        let table = [
            (
                r#"{ "n": 18446744073709551616,  "tries" : 3 ,"last":{"error":"no \"route\"","at":1e400}}"#,
                r#"{ "n": 18446744073709551616,  "tries" : 0 ,"last":{"error":null,"at":1e400}}"#,
            ),
            (r#"{"tries":"7","meta":{"attempts":2}}"#, r#"{"tries":"0","meta":{"attempts":2}}"#),
            (
                r#"{"tries":null,"meta":{"attempts":2,"attempts":3}}"#,
                r#"{"tries":null,"meta":{"attempts":0,"attempts":0}}"#,
            ),
            (r#"{"é":"\u0000","x":[1,2]}"#, r#"{"é":"\u0000","x":[1,2]}"#),
            ("[1, 2]", "[1, 2]"),
        ];
        for (old, new) in table {
            assert_eq!(
                reset(old.as_bytes(), &fields()).map(|bytes| String::from_utf8(bytes).unwrap()),
                Ok(new.to_owned())
            );
        }
    }

    #[test]
    fn what_is_no_json_or_not_described_is_refused() {
        assert!(reset(b"\xff", &fields()).is_err());
        assert!(reset(b"{\"tries\":", &fields()).is_err());
        assert!(reset(b"{}", &Fields::default()).unwrap_err().contains("fields.attempts"));
    }
}
