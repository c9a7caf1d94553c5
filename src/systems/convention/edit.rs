//! Exchanging one value inside a JSON text; all other bytes stay as they are (R22).

use serde_json::value::RawValue;

use crate::domain::described::split_path;
use crate::systems::members::Members;

/// The text with `new` in the place of the value at a path.
///
/// # Errors
///
/// Why it cannot be done, for people.
pub fn replace(text: &[u8], path: &str, new: &str) -> Result<Vec<u8>, String> {
    let is_json = |text: &str| serde_json::from_str::<&RawValue>(text).map(drop);
    is_json(new).map_err(|error| format!("{new} is not JSON: {error}"))?;
    let (text, old) = value(text, path)?;
    // `old` is a slice of `text`: serde_json borrows raw values from its input.
    let start = old.as_ptr() as usize - text.as_ptr() as usize;
    Ok([&text[..start], new, &text[start + old.len()..]].concat().into_bytes())
}

/// The text, and the value at a path inside it.
///
/// # Errors
///
/// Why there is none, for people.
pub fn value<'a>(text: &'a [u8], path: &str) -> Result<(&'a str, &'a str), String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not JSON".to_owned())?;
    serde_json::from_str::<&RawValue>(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let old = find(text, &split_path(path)).ok_or_else(|| format!("there is no value at {path}"))?;
    Ok((text, old))
}

/// The value at a path; of doubled names the last, as most readers do.
fn find<'a>(part: &'a str, steps: &[String]) -> Option<&'a str> {
    let part = part.trim();
    let Some((step, rest)) = steps.split_first() else { return Some(part) };
    if part.starts_with('{') {
        let members = serde_json::from_str::<Members<'a>>(part).ok()?;
        let (_, value) = members.0.into_iter().rev().find(|(name, _)| name == step)?;
        return find(value.get(), rest);
    }
    let items = serde_json::from_str::<Vec<&'a RawValue>>(part).ok()?;
    find(items.get(step.parse::<usize>().ok()?)?.get(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r22_only_the_value_itself_changes() {
        let text = br#"{ "n": 18446744073709551616, "meta":{"status" : "queued" ,"x":[1, {"s":1}]} }"#;
        let replaced = |path, new| replace(text, path, new).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(
            replaced("meta.status", "\"cancelled\"").as_deref(),
            Ok(r#"{ "n": 18446744073709551616, "meta":{"status" : "cancelled" ,"x":[1, {"s":1}]} }"#)
        );
        assert_eq!(
            replaced("meta.x.1.s", "null").as_deref(),
            Ok(r#"{ "n": 18446744073709551616, "meta":{"status" : "queued" ,"x":[1, {"s":null}]} }"#)
        );
        assert_eq!(replaced("meta.state", "1"), Err("there is no value at meta.state".to_owned()));
        assert!(replaced("meta.status", "cancelled").is_err());
        assert!(replace(b"\xff", "a", "1").is_err() && replace(b"{", "a", "1").is_err());
    }
}
