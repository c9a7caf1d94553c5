//! Moments as Redis and the queue systems write them.

use std::time::Duration;

/// Milliseconds since the Unix epoch, by the *server's* clock unless a field says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From whole seconds since the epoch.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// How long `self` lies before `now`; zero if it lies after (clocks differ a little).
    pub fn age(self, now: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(now.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// How long until `self`; zero if it is past.
    pub fn until(self, now: Timestamp) -> Duration {
        now.age(self)
    }

    /// `self` moved into the future.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// RFC 3339 in UTC with milliseconds, `None` outside the years jiff can express.
    pub fn rfc3339(self) -> Option<String> {
        let time = jiff::Timestamp::from_millisecond(self.0).ok()?;
        Some(format!("{time:.3}"))
    }

    /// The moment that [`Self::rfc3339`] wrote; `None` for any other text.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let time = text.ends_with('Z').then(|| text.parse::<jiff::Timestamp>().ok())??;
        let moment = Self(time.as_millisecond());
        (moment.rfc3339().as_deref() == Some(text)).then_some(moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_utc_with_milliseconds() {
        assert_eq!(Timestamp(1_700_000_000_123).rfc3339().as_deref(), Some("2023-11-14T22:13:20.123Z"));
        assert_eq!(Timestamp(i64::MAX).rfc3339(), None);
        assert_eq!(Timestamp::from_rfc3339("2023-11-14T22:13:20.123Z"), Some(Timestamp(1_700_000_000_123)));
        for other in ["2023-11-14", "2023-11-14T22:13:20Z", "soon", "Z"] {
            assert_eq!(Timestamp::from_rfc3339(other), None, "{other}");
        }
    }

    #[test]
    fn ages_never_go_below_zero() {
        assert_eq!(Timestamp(10).age(Timestamp(5)), Duration::ZERO);
        assert_eq!(Timestamp(10).until(Timestamp(5)), Duration::from_millis(5));
    }
}
