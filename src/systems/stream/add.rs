//! Adding an entry from a JSON object.

use super::names::Place;
use crate::domain::ids::Name;
use crate::domain::mutation::{NewJob, Outcome};
use crate::link::{Link, Value, cmd};
use crate::systems::members::Members;
use crate::systems::{ReadError, SystemError};

/// Adds one entry at the end of the stream.
pub async fn add(link: &Link, place: &Place, job: &NewJob) -> Result<Outcome, SystemError> {
    let strange =
        job.id.is_some() || !job.delay.is_zero() || job.priority != 0 || job.attempts.is_some() || job.dedup.is_some();
    if strange {
        let text = "a stream knows no own ids, delay, priority, attempts or deduplication";
        return Err(SystemError::BadRequest(text.to_owned()));
    }
    let fields = fields(&job.data)?;
    let mut command = cmd("XADD");
    command.arg(&place.stream).arg("*").arg(&fields);
    match link.ask(command).await? {
        Value::BulkString(id) => {
            let id = Name::from(id);
            Ok(Outcome { done: vec![id.clone()], created: vec![id], ..Outcome::default() })
        }
        other => Err(ReadError::Shape { command: "XADD", what: format!("{other:?}") }.into()),
    }
}

/// Names and values: strings as their text, anything else exactly as it is written.
fn fields(data: &[u8]) -> Result<Vec<Vec<u8>>, SystemError> {
    let bad = |what: String| SystemError::BadRequest(format!("an entry is given as a JSON object of fields: {what}"));
    let members: Members<'_> = serde_json::from_slice(data).map_err(|error| bad(error.to_string()))?;
    if members.0.is_empty() {
        return Err(bad("this one has none".to_owned()));
    }
    let pair = |(name, value): (String, &serde_json::value::RawValue)| {
        let value = match serde_json::from_str::<String>(value.get()) {
            Ok(text) => text.into_bytes(),
            Err(_) => value.get().as_bytes().to_vec(),
        };
        [name.into_bytes(), value]
    };
    Ok(members.0.into_iter().flat_map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r22_fields_keep_order_doubled_names_and_the_text_of_numbers() {
        let fields = fields(br#"{"b":"x\n","a":18446744073709551616,"a":{"n": 1.0}}"#).unwrap();
        let texts: Vec<&str> = fields.iter().map(|field| std::str::from_utf8(field).unwrap()).collect();
        assert_eq!(texts, ["b", "x\n", "a", "18446744073709551616", "a", "{\"n\": 1.0}"]);
        assert!(super::fields(b"[1]").is_err() && super::fields(b"{}").is_err());
    }
}
