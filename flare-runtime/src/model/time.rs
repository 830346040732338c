//! Event time and durations.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in milliseconds since 1970-01-01T00:00:00Z.
///
/// Read from a JSON number (milliseconds) or an RFC 3339 text; written as RFC 3339 text in formats that people
/// read, as a date and time in SQL, and as milliseconds in binary formats.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Before every other moment; also means "none".
    pub const MIN: Self = Self(i64::MIN);
    /// After every other moment: the watermark at the end of input.
    pub const MAX: Self = Self(i64::MAX);

    /// The name under which serializers meet a timestamp, so that SQL keeps its type.
    pub(crate) const NEWTYPE: &'static str = "flare::Timestamp";

    /// From milliseconds since 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The wall clock's time.
    pub fn now() -> Self {
        Self(Utc::now().timestamp_millis())
    }

    /// As a date and time in UTC; `None` far outside the calendar.
    pub fn to_utc(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }

    /// The time from `earlier` to this moment; none when that is later.
    pub fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This moment plus `duration`, not above [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// This moment minus `duration`, not below [`Timestamp::MIN`].
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

/// As it is displayed, so that records with times can be read in logs and tests.
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// As [`Timestamp::saturating_add`].
    fn add(self, duration: Duration) -> Self {
        self.saturating_add(duration)
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    /// As [`Timestamp::saturating_sub`].
    fn sub(self, duration: Duration) -> Self {
        self.saturating_sub(duration)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_utc() {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_newtype_struct(Self::NEWTYPE, &self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(TimestampVisitor)
        } else {
            deserializer.deserialize_newtype_struct(Self::NEWTYPE, TimestampVisitor)
        }
    }
}

struct TimestampVisitor;

impl<'de> Visitor<'de> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("milliseconds since 1970 or a text like \"2026-01-31T08:00:00Z\"")
    }

    fn visit_i64<E: serde::de::Error>(self, millis: i64) -> Result<Timestamp, E> {
        Ok(Timestamp(millis))
    }

    fn visit_u64<E: serde::de::Error>(self, millis: u64) -> Result<Timestamp, E> {
        let millis = i64::try_from(millis);
        let millis = millis.map_err(|_| E::custom("milliseconds since 1970 are out of range"))?;
        Ok(Timestamp(millis))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        let time = DateTime::parse_from_rfc3339(text);
        let time = time.map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?;
        Ok(Timestamp(time.timestamp_millis()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Timestamp, D::Error> {
        let millis = i64::deserialize(inner);
        millis.map(Timestamp).map_err(D::Error::custom)
    }
}

/// Reads a duration such as `500ms`, `30s`, `5m` or `1h 30m`.
///
/// # Errors
/// A sentence that says how to write a duration.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| format!("`{text}` is no duration; write it as \"500ms\", \"30s\", \"5m\" or \"1h\""))
}

/// Reads a moment: RFC 3339, milliseconds since 1970, or a duration such as `2h` for so long before `now`.
///
/// # Errors
/// A sentence that says what to write.
pub fn parse_moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let millis = text.parse().ok().map(Timestamp::from_millis);
    let dated = || DateTime::parse_from_rfc3339(text).ok().map(|time| Timestamp(time.timestamp_millis()));
    let ago = || humantime::parse_duration(text).ok().map(|ago| now.saturating_sub(ago));
    millis.or_else(dated).or_else(ago).ok_or_else(|| {
        format!("`{text}` is no moment; write \"2026-01-31T08:00:00Z\", or \"2h\" for two hours ago")
    })
}

/// Writes a duration as [`parse_duration`] reads it.
pub fn format_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_and_text_alike() {
        let number: Timestamp = serde_json::from_str("1767225600000").expect("a number");
        let text: Timestamp = serde_json::from_str("\"2026-01-01T00:00:00Z\"").expect("a text");
        assert_eq!(number, text);
        assert_eq!(serde_json::to_string(&text).expect("writes"), "\"2026-01-01T00:00:00.000Z\"");
    }

    #[test]
    fn reads_moments_as_people_write_them() {
        let now = Timestamp::from_millis(10_000_000);
        assert_eq!(parse_moment("5", now), Ok(Timestamp::from_millis(5)));
        assert_eq!(parse_moment("1970-01-01T00:00:01Z", now), Ok(Timestamp::from_millis(1000)));
        assert_eq!(parse_moment("2s", now), Ok(Timestamp::from_millis(9_998_000)));
        assert!(parse_moment("yesterday", now).is_err());
    }

    #[test]
    fn refuses_a_text_that_is_no_time() {
        let error = serde_json::from_str::<Timestamp>("\"yesterday\"").expect_err("no time");
        assert!(error.to_string().contains("2026-01-31T08:00:00Z"), "{error}");
    }
}
