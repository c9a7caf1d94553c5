//! What a heartbeat key says about its worker.

use std::time::Duration;

use bytes::Bytes;

use super::facts::{Source, document};
use super::plan::beat_fields;
use crate::domain::described::{Heartbeat, HeartbeatKind};
use crate::domain::time::Timestamp;
use crate::domain::worker::Liveness;
use crate::link::Value;
use crate::systems::reply;

/// One reading of a heartbeat key.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Reading {
    /// True if the key is there.
    pub exists: bool,
    /// Age of the last beat, if the key tells.
    pub age: Option<Duration>,
    /// The item it works on.
    pub item: Option<String>,
    /// Its host.
    pub host: Option<String>,
    /// Its process id.
    pub pid: Option<u64>,
    /// When it started.
    pub since: Option<Timestamp>,
}

/// Reads time to live and value of a heartbeat key. `value`: `None` if it was not asked or could not be read.
pub fn read(heartbeat: &Heartbeat, ttl: i64, value: Option<&Value>, now: Timestamp) -> Reading {
    let mut reading = Reading { exists: ttl != -2, ..Reading::default() };
    if !reading.exists {
        return reading;
    }
    if let (Some(whole), Ok(left)) = (heartbeat.ttl, u64::try_from(ttl)) {
        reading.age = Some(Duration::from_millis(whole.saturating_mul(1_000).saturating_sub(left)));
    }
    let Some(value) = value else { return reading };
    match heartbeat.kind {
        HeartbeatKind::Presence => {}
        HeartbeatKind::Id => reading.item = reply::text(value).filter(|id| !id.is_empty()),
        HeartbeatKind::Json => {
            let Some(bytes) = reply::bytes(value) else { return reading };
            let bytes = Bytes::copy_from_slice(bytes);
            // The value may be longer than what was read of it.
            let Some(tree) = document(&bytes, bytes.len() as u64 + 1) else { return reading };
            reading.take(heartbeat, &Source::Document(&tree), now);
        }
        HeartbeatKind::Hash => {
            let values = reply::list(value).unwrap_or(&[]);
            let fields: Vec<_> = beat_fields(heartbeat)
                .into_iter()
                .zip(values)
                .filter_map(|(name, value)| Some((name.as_bytes().to_vec(), reply::bytes(value)?.to_vec())))
                .collect();
            reading.take(heartbeat, &Source::Hash(&fields), now);
        }
    }
    reading
}

impl Reading {
    fn take(&mut self, heartbeat: &Heartbeat, source: &Source<'_>, now: Timestamp) {
        self.age = source.moment(&heartbeat.beat).map(|beat| beat.age(now)).or(self.age);
        self.item = source.text(&heartbeat.item).filter(|id| !id.is_empty());
        self.host = source.text(&heartbeat.host);
        self.pid = source.count(&heartbeat.pid);
        self.since = source.moment(&heartbeat.since);
    }

    /// Whether the worker is there.
    pub fn liveness(&self, heartbeat: &Heartbeat) -> Liveness {
        if !heartbeat.renewed {
            // Written when an item is taken and never again: being there says little, being gone nothing.
            return if self.exists { Liveness::Live } else { Liveness::Unknown };
        }
        match (self.exists, self.age) {
            (false, _) => Liveness::Gone,
            (true, Some(age)) if age > Duration::from_secs(heartbeat.stale_after) => Liveness::Stale,
            (true, _) => Liveness::Live,
        }
    }

    /// Whether it works on something; `None` if the key does not tell.
    pub fn busy(&self, heartbeat: &Heartbeat) -> Option<bool> {
        let tells = heartbeat.kind == HeartbeatKind::Id || !heartbeat.item.is_empty();
        tells.then(|| self.item.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(toml: &str) -> Heartbeat {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn the_age_of_a_beat_comes_from_the_time_to_live_or_from_a_field() {
        let ttl = heartbeat("pattern = 'w:*'\nttl = 30\nstale_after = 15");
        let reading = read(&ttl, 12_000, None, Timestamp(0));
        assert_eq!(reading.age, Some(Duration::from_secs(18)));
        assert_eq!(reading.liveness(&ttl), Liveness::Stale);
        assert_eq!(reading.busy(&ttl), None);
        assert_eq!(read(&ttl, -2, None, Timestamp(0)).liveness(&ttl), Liveness::Gone);
        let json = heartbeat("pattern = 'w:*'\nkind = 'json'\nbeat = 'at'\nitem = 'job'\npid = 'pid'");
        let value = Value::BulkString(br#"{"at":1700000000,"job":"7","pid":12}"#.to_vec());
        let reading = read(&json, -1, Some(&value), Timestamp(1_700_000_005_000));
        assert_eq!((reading.age, reading.pid), (Some(Duration::from_secs(5)), Some(12)));
        assert_eq!((reading.busy(&json), reading.liveness(&json)), (Some(true), Liveness::Live));
        let hash = heartbeat("pattern = 'w:*'\nkind = 'hash'\nbeat = 'at'\nitem = 'job'");
        let values = Value::Array(vec![Value::BulkString(b"1700000000".to_vec()), Value::Nil]);
        let reading = read(&hash, -1, Some(&values), Timestamp(1_700_000_100_000));
        assert_eq!((reading.busy(&hash), reading.liveness(&hash)), (Some(false), Liveness::Stale));
    }

    #[test]
    fn a_key_that_is_not_renewed_proves_no_death() {
        let taken = heartbeat("pattern = 'w:*'\nkind = 'id'\nttl = 300\nrenewed = false");
        let value = Value::BulkString(b"job-1".to_vec());
        let reading = read(&taken, 1_000, Some(&value), Timestamp(0));
        assert_eq!((reading.liveness(&taken), reading.item.as_deref()), (Liveness::Live, Some("job-1")));
        assert_eq!(read(&taken, -2, None, Timestamp(0)).liveness(&taken), Liveness::Unknown);
    }
}
