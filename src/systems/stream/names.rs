//! Names of stream queues and ids of entries.

use crate::domain::ids::Name;
use crate::domain::time::Timestamp;

/// Ids below this number of milliseconds were not made by a clock: «1-0» is no moment of 1970.
const FIRST_CLOCK_ID: u64 = 1_000_000_000_000;

/// A stream, and one of its groups or none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Key of the stream.
    pub stream: Vec<u8>,
    /// Name of the group.
    pub group: Option<Vec<u8>>,
}

impl Place {
    /// Reads the name of a queue: `STREAM` or `STREAM/GROUP`, in which `/` and `%` of the key are `%2F` and `%25`.
    pub fn parse(name: &Name) -> Self {
        let bytes = name.as_bytes();
        match bytes.iter().position(|byte| *byte == b'/') {
            Some(slash) => Self { stream: decode(&bytes[..slash]), group: Some(bytes[slash + 1..].to_vec()) },
            None => Self { stream: decode(bytes), group: None },
        }
    }

    /// The name of the queue.
    pub fn name(&self) -> Name {
        let mut name = encode(&self.stream);
        if let Some(group) = &self.group {
            name.push(b'/');
            name.extend_from_slice(group);
        }
        Name::from(name)
    }

    /// Key of the stream in which deployments keep entries that were given up.
    pub fn dead(&self) -> Vec<u8> {
        [&self.stream, &b":dead"[..]].concat()
    }
}

fn encode(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len());
    for byte in key {
        match byte {
            b'/' => out.extend_from_slice(b"%2F"),
            b'%' => out.extend_from_slice(b"%25"),
            byte => out.push(*byte),
        }
    }
    out
}

fn decode(mut name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    while let Some((first, rest)) = name.split_first() {
        (name, _) = match (first, rest.get(..2)) {
            (b'%', Some(b"2F")) => (&rest[2..], out.push(b'/')),
            (b'%', Some(b"25")) => (&rest[2..], out.push(b'%')),
            (byte, _) => (rest, out.push(*byte)),
        };
    }
    out
}

/// Id of an entry: milliseconds and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId(pub u64, pub u64);

impl EntryId {
    /// Reads `ms-number`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (millis, number) = std::str::from_utf8(text).ok()?.split_once('-')?;
        Some(Self(millis.parse().ok()?, number.parse().ok()?))
    }

    /// The smallest id above this one. Exclusive ranges are younger than streams, so this is counted here.
    pub fn after(self) -> Self {
        match self.1.checked_add(1) {
            Some(number) => Self(self.0, number),
            None => Self(self.0.saturating_add(1), 0),
        }
    }

    /// The largest id below this one; `None` below all.
    pub fn before(self) -> Option<Self> {
        match (self.0, self.1) {
            (0, 0) => None,
            (millis, 0) => Some(Self(millis - 1, u64::MAX)),
            (millis, number) => Some(Self(millis, number - 1)),
        }
    }

    /// When the entry was added, if a clock made the id.
    pub fn moment(self) -> Option<Timestamp> {
        (self.0 >= FIRST_CLOCK_ID).then(|| i64::try_from(self.0).ok().map(Timestamp)).flatten()
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s15_streams_and_groups_with_any_name_are_told_apart() {
        for stream in [&b"events"[..], b"a/b", b"a%2Fb", b"%", b"a\n*{}", b"\xff/"] {
            for group in [None, Some(&b"workers"[..]), Some(b"x/y%2F"), Some(b"")] {
                let place = Place { stream: stream.to_vec(), group: group.map(<[u8]>::to_vec) };
                assert_eq!(Place::parse(&place.name()), place, "{place:?}");
            }
        }
        let place = Place { stream: b"a/b".to_vec(), group: Some(b"c/d".to_vec()) };
        assert_eq!(place.name(), Name::from("a%2Fb/c/d"));
    }

    #[test]
    fn ids_have_neighbours_and_sometimes_a_time() {
        let id = EntryId::parse(b"1700000000000-5").unwrap();
        assert_eq!(
            (id.after().to_string(), id.before()),
            ("1700000000000-6".into(), Some(EntryId(1_700_000_000_000, 4)))
        );
        assert_eq!(EntryId(7, u64::MAX).after(), EntryId(8, 0));
        assert_eq!(EntryId(7, 0).before(), Some(EntryId(6, u64::MAX)));
        assert_eq!(EntryId(0, 0).before(), None);
        assert_eq!(id.moment(), Some(Timestamp(1_700_000_000_000)));
        assert_eq!(EntryId(1, 0).moment(), None);
        assert_eq!(EntryId::parse(b"17"), None);
    }
}
