//! Records of items that are mere ids.

use super::super::detail::HASH_FIELDS;
use super::super::plan::memory;
use crate::domain::described::RecordKind;
use crate::link::{Batch, CommandError, Link, MAX_VALUE_BYTES, Value, cmd};
use crate::systems::{SystemError, reply};

/// A record as the server told it, or why it was not read.
type Record = Result<Value, String>;

/// Records of items: strings, or hashes that are small enough to be read whole (P3).
pub async fn read(link: &Link, kind: RecordKind, keys: &[Vec<u8>]) -> Result<Vec<Record>, SystemError> {
    let mut batch = Batch::new();
    for key in keys {
        match kind {
            RecordKind::Json => batch.ask(cmd("GET").arg(key).to_owned()),
            RecordKind::Hash => batch.ask(cmd("HLEN").arg(key).to_owned()).ask(memory(key)),
        };
    }
    let told = |reply: Result<Value, CommandError>| reply.map_err(|error| error.to_string());
    let replies = link.send(&batch).await?;
    if kind == RecordKind::Json {
        return Ok(replies.into_iter().map(told).collect());
    }
    let (sizes, _) = replies.as_chunks::<2>();
    let fit: Vec<Result<(), String>> = sizes.iter().map(|[fields, bytes]| fits(fields, bytes)).collect();
    let mut batch = Batch::new();
    for (key, _) in keys.iter().zip(&fit).filter(|(_, fit)| fit.is_ok()) {
        batch.ask(cmd("HGETALL").arg(key).to_owned());
    }
    let mut hashes = link.send(&batch).await?.into_iter();
    let read = |fit: Result<(), String>| {
        fit.and_then(|()| hashes.next().map_or_else(|| Err("there was no answer".to_owned()), told))
    };
    Ok(fit.into_iter().map(read).collect())
}

/// Whether a hash of so many fields and bytes may be read whole.
fn fits(fields: &Result<Value, CommandError>, bytes: &Result<Value, CommandError>) -> Result<(), String> {
    let number = |reply: &Result<Value, CommandError>| match reply {
        Ok(value) => Ok(reply::count(value).unwrap_or(0)),
        Err(error) => Err(error.to_string()),
    };
    let fields = number(fields)?;
    // A server that does not tell the size is believed to hold what belongs there.
    let bytes = number(bytes).unwrap_or(0);
    if fields > HASH_FIELDS || bytes > MAX_VALUE_BYTES {
        return Err(format!("it is a hash of {fields} fields and {bytes} bytes, too large to be read whole"));
    }
    Ok(())
}
