//! Records of items that are mere ids.

use super::super::detail::HASH_FIELDS;
use super::super::plan::memory;
use crate::domain::described::RecordKind;
use crate::link::{Batch, CommandError, Link, MAX_VALUE_BYTES, Value, cmd};
use crate::systems::{ReadError, SystemError, reply};

/// A record as the server told it, or why it will never be read.
type Record = Result<Value, String>;

/// Records of items: strings, or hashes that are small enough to be read whole (P3). An error says that none can be read
/// now: the server is busy, or this user may not.
pub async fn read(link: &Link, kind: RecordKind, keys: &[Vec<u8>]) -> Result<Vec<Record>, SystemError> {
    let mut batch = Batch::new();
    for key in keys {
        match kind {
            RecordKind::Json => batch.ask(cmd("GET").arg(key).to_owned()),
            RecordKind::Hash => batch.ask(cmd("HLEN").arg(key).to_owned()).ask(memory(key)),
        };
    }
    let replies = link.send(&batch).await?;
    if kind == RecordKind::Json {
        return keys.iter().zip(replies).map(|(key, reply)| told(key, reply)).collect();
    }
    let (sizes, _) = replies.as_chunks::<2>();
    let sized = keys.iter().zip(sizes);
    let fit: Vec<Record> =
        sized.map(|(key, [fields, bytes])| fits(key, fields.clone(), bytes)).collect::<Result<_, _>>()?;
    let mut batch = Batch::new();
    for (key, _) in keys.iter().zip(&fit).filter(|(_, fit)| fit.is_ok()) {
        batch.ask(cmd("HGETALL").arg(key).to_owned());
    }
    let mut hashes = link.send(&batch).await?.into_iter();
    let whole = |(key, fit): (&Vec<u8>, Record)| match fit {
        Ok(_) => told(key, hashes.next().unwrap_or(Err(CommandError::Missing))),
        never => Ok(never),
    };
    keys.iter().zip(fit).map(whole).collect()
}

/// What a reply says of one record. That its key is of another kind is final; any other refusal may pass.
fn told(key: &[u8], reply: Result<Value, CommandError>) -> Result<Record, SystemError> {
    match reply {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.code() == "WRONGTYPE" => Ok(Err(error.to_string())),
        Err(CommandError::Refused { code, detail }) => {
            let detail = format!("{detail} (reading the record {})", String::from_utf8_lossy(key));
            Err(ReadError::Command(CommandError::Refused { code, detail }).into())
        }
        Err(error) => Err(ReadError::Command(error).into()),
    }
}

/// Whether a hash of so many fields and bytes may be read whole.
fn fits(
    key: &[u8],
    fields: Result<Value, CommandError>,
    bytes: &Result<Value, CommandError>,
) -> Result<Record, SystemError> {
    let told = told(key, fields)?;
    let Ok(value) = &told else { return Ok(told) };
    let fields = reply::count(value).unwrap_or(0);
    // A server that does not tell the size is believed to hold what belongs there.
    let bytes = bytes.as_ref().ok().and_then(reply::count).unwrap_or(0);
    if fields > HASH_FIELDS || bytes > MAX_VALUE_BYTES {
        return Ok(Err(format!("it is a hash of {fields} fields and {bytes} bytes, too large to be read whole")));
    }
    Ok(told)
}
