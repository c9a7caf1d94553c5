//! Lines that were meant to tell how a job ended and cannot be read as that.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Line, as_text};

/// Words by which a job tells its end, and names that stand before them in JSON.
const ENDS: [&str; 7] = ["result", "done", "error", "fail", "retry", "stack", "id"];

/// Names by which a line of a structured log is known: it may name a job without answering it.
const LEVELS: [&str; 2] = ["level", "severity"];

/// Bytes of a line in which its first word is looked for.
const HEAD: usize = 100;

/// True for a line, perhaps cut, that begins like one by which a job tells its end.
pub(in super::super) fn tells_an_end(line: &Line) -> bool {
    let head = String::from_utf8_lossy(&line.bytes[..line.bytes.len().min(HEAD)]);
    begins_an_end(&head)
}

fn begins_an_end(text: &str) -> bool {
    let word = match text.strip_prefix("::") {
        Some(rest) => rest.split(' ').next(),
        None => text.strip_prefix('{').and_then(|rest| Some(rest.trim_start().strip_prefix('"')?.split_once('"')?.0)),
    };
    word.is_some_and(|word| ENDS.contains(&word))
}

/// Whether a line of JSON without a known meaning was an answer: if so, the job it names, if it names one.
pub(super) fn unclear(text: &str) -> Option<Option<String>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(default, borrow)]
        id: Option<&'a RawValue>,
        level: Option<IgnoredAny>,
        severity: Option<IgnoredAny>,
    }
    match serde_json::from_str::<Named<'_>>(text) {
        Ok(Named { level: Some(_), .. } | Named { severity: Some(_), .. }) => None,
        Ok(named) => named.id.map(|id| Some(as_text(id))),
        Err(_) => match top(text) {
            Top::Log => None,
            Top::Id(id) => Some(Some(id)),
            Top::Nothing => begins_an_end(text).then_some(None),
        },
    }
}

/// What the names of a broken document tell that lie at its top.
enum Top {
    Log,
    Id(String),
    Nothing,
}

fn top(text: &str) -> Top {
    let (mut depth, mut at, mut found) = (0_usize, 0, Top::Nothing);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let end = end_of_text(text, at);
                let name = text.get(at + 1..end.saturating_sub(1)).unwrap_or_default();
                let rest = text[end..].trim_start().strip_prefix(':').map(str::trim_start);
                match rest.filter(|_| depth == 1) {
                    Some(_) if LEVELS.contains(&name) => return Top::Log,
                    Some(value) if name == "id" && matches!(found, Top::Nothing) => found = Top::Id(scalar(value)),
                    _ => {}
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Where the text ends that begins with the quote at `start`.
fn end_of_text(text: &str, start: usize) -> usize {
    let mut escaped = false;
    for (offset, byte) in text.bytes().enumerate().skip(start + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return offset + 1,
            _ => {}
        }
    }
    text.len()
}

/// The text or number at the beginning.
fn scalar(value: &str) -> String {
    let written = match value.starts_with('"') {
        true => &value[..end_of_text(value, 0)],
        false => value.split([',', '}', ' ']).next().unwrap_or_default(),
    };
    serde_json::from_str(written).unwrap_or_else(|_| written.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_as_an_answer_is_told_from_other_lines() {
        let named = |id: &str| Some(Some(id.to_owned()));
        for (text, meant) in [
            (r#"{"id":"7"}"#, named("7")),
            (r#"{"id":7,"resullt":1}"#, named("7")),
            (r#"{"a":{"id":"8"},"id" : "7","result":NaN}"#, named("7")),
            (r#"{"id":"7","result":"cut"#, named("7")),
            (r#"{"id":"a\"b","result":NaN}"#, named("a\"b")),
            (r#"{"result":NaN}"#, Some(None)),
            (r#"{ "error":"x"#, Some(None)),
            (r#"{"id":"7","level":"info"}"#, None),
            (r#"{"id":"7","severity":NaN}"#, None),
            (r#"{"rows":NaN}"#, None),
            (r#"{"a":{"id":"7"}}"#, None),
            (r#"{"id":null}"#, None),
            ("{", None),
            ("{}", None),
            (r#"{"id"#, None),
            (r#"{"é":"\"#, None),
        ] {
            assert_eq!(unclear(text), meant, "{text}");
        }
    }
}
