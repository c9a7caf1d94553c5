//! Times and sizes as people write them.

/// `"500ms"`, `"2s"`, `"1h 30m"` for [`std::time::Duration`]; use as `#[serde(with = "values::time")]`.
pub(super) mod time {
    use std::fmt;
    use std::time::Duration;

    use serde::de::{Deserializer, Error, Unexpected, Visitor};
    use serde::ser::Serializer;

    const EXPECTED: &str = "a time such as \"500ms\", \"2s\" or \"10m\"";

    /// `None` unless the text is a time of zero or more.
    pub(in crate::config) fn parse(text: &str) -> Option<Duration> {
        let span: jiff::SignedDuration = text.trim().parse().ok()?;
        Duration::try_from(span).ok()
    }

    pub(in crate::config) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write(*time))
    }

    pub(in crate::config) fn write(time: Duration) -> String {
        let milliseconds = time.as_millis();
        match (milliseconds % 1000, time.as_secs()) {
            (0, 0) => "0s".to_owned(),
            (0, seconds) if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
            (0, seconds) if seconds % 60 == 0 => format!("{}m", seconds / 60),
            (0, seconds) => format!("{seconds}s"),
            _ => format!("{milliseconds}ms"),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        struct Time;
        impl Visitor<'_> for Time {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
                parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Time)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn times_are_read_as_people_write_them() {
            let good = [("500ms", 500), ("2s", 2000), ("10m", 600_000), ("1h 30m", 5_400_000), ("1.5s", 1500)];
            for (text, milliseconds) in good {
                assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
            }
            for bad in ["", "2", "fast", "-2s", "2 parsecs", "s"] {
                assert_eq!(parse(bad), None, "{bad}");
            }
        }

        #[test]
        fn what_is_written_is_read_back() {
            for milliseconds in [0, 1, 500, 1000, 1500, 60_000, 61_000, 3_600_000, 90_000_000] {
                let time = Duration::from_millis(milliseconds);
                assert_eq!(parse(&write(time)), Some(time), "{}", write(time));
            }
        }
    }
}

/// `"64KiB"`, `"1MB"`, `4096` for a number of bytes; use as `#[serde(with = "values::size")]`.
pub(super) mod size {
    use std::fmt;

    use serde::de::{Deserializer, Error, Unexpected, Visitor};
    use serde::ser::Serializer;

    const UNITS: [(&str, u64); 10] = [
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("kb", 1_000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("k", 1 << 10),
        ("m", 1 << 20),
        ("g", 1 << 30),
        ("b", 1),
    ];

    /// `None` unless the text is a whole number of bytes.
    pub(in crate::config) fn parse(text: &str) -> Option<u64> {
        let text = text.trim().to_ascii_lowercase();
        let (number, unit) =
            UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit))).unwrap_or((text.as_str(), 1));
        number.trim_end().parse::<u64>().ok()?.checked_mul(unit)
    }

    pub(in crate::config) fn serialize<S: Serializer>(size: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write(*size))
    }

    fn write(size: u64) -> String {
        let unit = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
            .into_iter()
            .find(|(_, unit)| size >= *unit && size.is_multiple_of(*unit));
        unit.map_or_else(|| format!("{size}B"), |(name, unit)| format!("{}{name}", size / unit))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        struct Size;
        impl Visitor<'_> for Size {
            type Value = u64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"64KiB\", or a number of bytes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
                parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
                u64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
                Ok(number)
            }
        }
        deserializer.deserialize_any(Size)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn sizes_are_read_as_people_write_them() {
            let good = [("64KiB", 65_536), ("64 kib", 65_536), ("1MB", 1_000_000), ("10", 10), ("10B", 10)];
            for (text, bytes) in good {
                assert_eq!(parse(text), Some(bytes), "{text}");
            }
            for bad in ["", "KiB", "-1KiB", "1.5MiB", "20000000000GiB", "64 bananas"] {
                assert_eq!(parse(bad), None, "{bad}");
            }
        }

        #[test]
        fn what_is_written_is_read_back() {
            for size in [0, 1, 1000, 1024, 51_200, 1 << 20, (1 << 30) + 1] {
                assert_eq!(parse(&write(size)), Some(size));
            }
        }
    }
}

/// A time that may be left out; use as `#[serde(with = "values::optional_time")]` with a default.
pub(super) mod optional_time {
    use std::time::Duration;

    use serde::de::Deserializer;
    use serde::ser::Serializer;

    pub(in crate::config) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::time::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::time::deserialize(deserializer).map(Some)
    }
}

/// A size that may be left out; use as `#[serde(with = "values::optional_size")]` with a default.
pub(super) mod optional_size {
    use serde::de::Deserializer;
    use serde::ser::Serializer;

    pub(in crate::config) fn serialize<S: Serializer>(size: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match size {
            Some(size) => super::size::serialize(size, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        super::size::deserialize(deserializer).map(Some)
    }
}
