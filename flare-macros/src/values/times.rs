//! Durations and moments.

use std::time::Duration;

use darling::{FromMeta, Result};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Lit, LitStr, Meta};

use super::{emit, error, literal, name, shown};

/// A duration longer than zero.
pub(crate) struct Span {
    /// As it was written.
    pub(crate) text: LitStr,
    /// What it means.
    pub(crate) duration: Duration,
}

/// A duration from `LEAST` to `MOST` milliseconds.
pub(crate) struct Within<const LEAST: u64, const MOST: u64>(LitStr);

/// A duration that may be zero.
pub(crate) type Delay = Within<0, { u64::MAX }>;

/// How long Kafka's client may wait for more messages.
pub(crate) type Linger = Within<0, { 15 * 60 * 1000 }>;

/// How long Kafka's client may try to deliver a message.
pub(crate) type DeliveryTimeout = Within<1000, { 24 * 60 * 60 * 1000 }>;

/// A moment: a text in RFC 3339, or milliseconds since 1970.
pub(crate) struct Instant(Lit);

impl FromMeta for Span {
    fn from_meta(item: &Meta) -> Result<Self> {
        let (text, duration) = duration(item)?;
        if duration.is_zero() {
            return Err(error(&text, format!("`{}` must be longer than zero, as in \"1s\"", name(item))));
        }
        Ok(Self { text, duration })
    }
}

impl<const LEAST: u64, const MOST: u64> FromMeta for Within<LEAST, MOST> {
    fn from_meta(item: &Meta) -> Result<Self> {
        let (text, duration) = duration(item)?;
        let (least, most) = (Duration::from_millis(LEAST), Duration::from_millis(MOST));
        // What has no bound may be longer than milliseconds can say.
        if duration >= least && (duration <= most || MOST == u64::MAX) {
            return Ok(Self(text));
        }
        let (name, least, most) =
            (name(item), humantime::format_duration(least), humantime::format_duration(most));
        Err(error(&text, format!("`{name}` must be from \"{least}\" to \"{most}\"")))
    }
}

impl FromMeta for Instant {
    fn from_meta(item: &Meta) -> Result<Self> {
        let literal = literal(item, "\"2026-01-31T08:00:00Z\"")?;
        let valid = match &literal {
            Lit::Str(text) => is_rfc3339(&text.value()),
            Lit::Int(int) => int.base10_parse::<i64>().is_ok_and(|millis| millis >= 0),
            _ => false,
        };
        if valid {
            return Ok(Self(literal));
        }
        let message = format!(
            "`{}` is no time; write it as \"2026-01-31T08:00:00Z\" or in milliseconds since 1970",
            shown(&literal)
        );
        Err(error(&literal, message))
    }
}

impl ToTokens for Span {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let text = &self.text;
        tokens.extend(quote!(::flare::__private::Literal::Text(#text)));
    }
}

impl<const LEAST: u64, const MOST: u64> ToTokens for Within<LEAST, MOST> {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let text = &self.0;
        tokens.extend(quote!(::flare::__private::Literal::Text(#text)));
    }
}

impl ToTokens for Instant {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        emit(&self.0).to_tokens(tokens);
    }
}

fn duration(item: &Meta) -> Result<(LitStr, Duration)> {
    match literal(item, "\"30s\"")? {
        Lit::Str(text) => match humantime::parse_duration(&text.value()) {
            Ok(duration) => Ok((text, duration)),
            Err(_) => {
                let message =
                    format!("`{}` is no duration; write it as \"500ms\", \"30s\" or \"5m\"", text.value());
                Err(error(&text, message))
            }
        },
        Lit::Int(int) if int.base10_digits().parse::<u64>().is_ok() => {
            let digits = int.base10_digits();
            let message =
                format!("`{int}` has no unit; write it as \"{digits}ms\", \"{digits}s\" or \"{digits}m\"");
            Err(error(&int, message))
        }
        other => {
            let message =
                format!("`{}` is no duration; write it as \"500ms\", \"30s\" or \"5m\"", shown(&other));
            Err(error(&other, message))
        }
    }
}

/// Whether `text` is a date and time with its zone.
fn is_rfc3339(text: &str) -> bool {
    let zone = text.len().checked_sub(6).and_then(|start| text.split_at_checked(start));
    let utc = match zone {
        Some((time, zone)) if zone.starts_with(['+', '-']) && is_zone(&zone[1..]) => format!("{time}Z"),
        _ => text.to_owned(),
    };
    humantime::parse_rfc3339(&utc).is_ok()
}

/// Whether `text` is hours and minutes as in `08:00`.
fn is_zone(text: &str) -> bool {
    let below =
        |text: &str, limit: u8| text.len() == 2 && text.parse::<u8>().is_ok_and(|number| number < limit);
    text.split_once(':').is_some_and(|(hours, minutes)| below(hours, 24) && below(minutes, 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_moments_with_their_zone_only() {
        for valid in ["2026-01-31T08:00:00Z", "2026-01-31T08:00:00.250Z", "2026-01-31T08:00:00+08:00"] {
            assert!(is_rfc3339(valid), "{valid}");
        }
        for invalid in
            ["2026-01-31", "2026-01-31T08:00:00", "2026-13-31T08:00:00Z", "08:00+25:00", "ü+08:00", ""]
        {
            assert!(!is_rfc3339(invalid), "{invalid}");
        }
    }
}
