//! Arguments that are groups: how often to try again, and how a lookup caches.

use darling::{FromMeta, Result};
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Meta;

use crate::arguments::{Accepted, Argument, Arguments, Group};
use crate::values::{Delay, Flag, Number, Span, Times, error};

/// How a sink tries again: `retry(times = 5, backoff = "100ms", max_backoff = "10s")`.
pub(crate) struct Retry(Group);

/// As [`Retry`], for a lookup, which may also ask again for a row that was not there.
pub(crate) struct LookupRetry(Group);

/// What a lookup remembers: `cache(capacity = 10_000, ttl = "10m", miss_ttl = "30s")`.
pub(crate) struct Cache(Group);

pub(crate) const RETRY: Accepted =
    Accepted { owner: "`retry`", names: &["times", "backoff", "max_backoff"], hints: &[] };

pub(crate) const LOOKUP_RETRY: Accepted =
    Accepted { owner: "`retry`", names: &["times", "backoff", "max_backoff", "on_miss"], hints: &[] };

pub(crate) const CACHE: Accepted = Accepted {
    owner: "`cache`",
    names: &["capacity", "ttl", "miss_ttl", "refresh_after", "stale"],
    hints: &[("size", "write `capacity`, the number of rows")],
};

impl FromMeta for Retry {
    fn from_meta(item: &Meta) -> Result<Self> {
        Group::read(item, &RETRY, "retry(times = 3)", read_retry).map(Self)
    }
}

impl FromMeta for LookupRetry {
    fn from_meta(item: &Meta) -> Result<Self> {
        let read = |arguments: &mut Arguments<'_>| {
            let checked = read_retry(arguments);
            arguments.setting::<Flag>("on_miss");
            checked
        };
        Group::read(item, &LOOKUP_RETRY, "retry(times = 3)", read).map(Self)
    }
}

impl FromMeta for Cache {
    fn from_meta(item: &Meta) -> Result<Self> {
        Group::read(item, &CACHE, "cache(ttl = \"10m\")", read_cache).map(Self)
    }
}

impl ToTokens for Retry {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}

impl ToTokens for LookupRetry {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}

impl ToTokens for Cache {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}

fn read_retry(arguments: &mut Arguments<'_>) -> Result<()> {
    arguments.setting::<Times>("times");
    let backoff = value(arguments.setting::<Span>("backoff"));
    let max_backoff = value(arguments.setting::<Span>("max_backoff"));
    match (backoff, max_backoff) {
        (Some(backoff), Some(most)) if most.duration < backoff.duration => {
            let least = backoff.text.value();
            let message = format!("`max_backoff` is shorter than `backoff`; write \"{least}\" or more");
            Err(error(&most.text, message))
        }
        _ => Ok(()),
    }
}

fn read_cache(arguments: &mut Arguments<'_>) -> Result<()> {
    arguments.setting::<Number>("capacity");
    let ttl = value(arguments.setting::<Span>("ttl"));
    arguments.setting::<Delay>("miss_ttl");
    let refresh_after = value(arguments.setting::<Span>("refresh_after"));
    arguments.setting::<Delay>("stale");
    match (ttl, refresh_after) {
        (Some(ttl), Some(refresh)) if refresh.duration >= ttl.duration => {
            let message = format!(
                "`refresh_after` must be shorter than `ttl`, which is \"{}\": a row that has expired is fetched anyway",
                ttl.text.value()
            );
            Err(error(&refresh.text, message))
        }
        _ => Ok(()),
    }
}

fn value<T>(argument: Option<Argument<T>>) -> Option<T> {
    argument.and_then(|argument| argument.value)
}
