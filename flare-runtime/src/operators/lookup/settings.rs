//! Settings of a lookup.

use std::time::Duration;

use crate::api::Backoff;
use crate::config::{Problems, Section, Settings, choices, settings};

choices! {
    /// The order in which records leave a lookup.
    pub enum Order {
        /// As they came.
        Ordered = "ordered",
        /// As their rows arrive; watermarks and barriers still overtake nothing.
        Unordered = "unordered",
    }
}

choices! {
    /// What happens to a record without a row.
    pub enum OnFailure {
        /// It goes to the dirty-data output.
        Dirty = "dirty",
        /// It is joined with the lookup's default row.
        Default = "default",
        /// The job fails.
        Fail = "fail",
        /// It is counted and forgotten.
        Skip = "skip",
    }
}

settings! {
    /// Settings of a lookup, whatever its connector.
    pub struct LookupSettings {
        /// Records that may be inside the lookup at a time, in each subtask.
        capacity: usize [from 1] = "256",
        /// Requests that may run at a time, all subtasks together; the default is what the connector bears.
        concurrency: Option<usize> [from 1],
        /// Keys that one request asks for at most.
        batch: usize [from 1] = "100",
        /// `ordered` or `unordered`.
        order: Order = "ordered",
        /// How long a record waits for its row, retries included.
        timeout: Duration [above "0s"] = "2s",
        /// What happens when the time is over: `dirty`, `default`, `fail` or `skip`.
        on_timeout: OnFailure = "dirty",
        /// What happens when the request failed for good.
        on_error: OnFailure = "dirty",
        /// What happens when there is no row.
        on_miss: OnFailure = "dirty",
        /// Load the whole table at the start and ask nothing afterwards.
        preload: bool = "false",
        /// How often a preloaded table is loaded anew; a load that takes longer has failed.
        refresh: Duration [above "0s"] = "10m",
    }
}

settings! {
    /// The cache of rows by key, shared by the subtasks.
    pub struct CacheSettings {
        /// Rows and misses that are kept; 0 for no cache.
        capacity: u64 = "10000",
        /// How long a row is served.
        ttl: Duration [above "0s"] = "10m",
        /// How long it is remembered that there is no row; `0s` for not at all.
        miss_ttl: Duration = "30s",
        /// Age at which a row that is asked for is loaded anew, while the old one is still served.
        refresh_after: Option<Duration> [above "0s"],
        /// How long beyond `ttl` a row is served when a request fails; `0s` for not at all.
        stale: Duration = "0s",
    }
}

settings! {
    /// Further requests after one that failed.
    pub struct LookupRetry {
        /// Requests after the first.
        times: u32 = "3",
        /// The pause before the second request; it doubles with each further one, less a random half.
        backoff: Duration [above "0s"] = "50ms",
        /// The longest pause.
        max_backoff: Duration [above "0s"] = "1s",
        /// Whether a missing row is asked for again, for dimension tables that lag behind.
        on_miss: bool = "false",
    }
}

/// All settings of a lookup.
#[derive(Clone, Debug)]
pub struct LookupConfig {
    /// The lookup's own.
    pub lookup: LookupSettings,
    /// The group `cache`.
    pub cache: CacheSettings,
    /// The group `retry`.
    pub retry: LookupRetry,
}

impl LookupConfig {
    /// Reads them from the section `lookup.NAME`. `default_row` is `Ok` if there is one, else what to do about it where
    /// a strategy asks for it.
    pub fn read(
        section: &mut Section<'_>,
        default_row: Result<(), &str>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let lookup = LookupSettings::read(section, problems);
        let path = section.path().to_owned();
        let mut group = section.group("cache");
        let cache = CacheSettings::read(&mut group, problems);
        group.finish(problems);
        let mut group = section.group("retry");
        let retry = LookupRetry::read(&mut group, problems);
        group.finish(problems);
        let config = Self { lookup: lookup?, cache: cache?, retry: retry? };
        config.check(&path, default_row, problems);
        Some(config)
    }

    fn check(&self, path: &str, default_row: Result<(), &str>, problems: &mut Problems) {
        let LookupSettings { on_timeout, on_error, on_miss, .. } = self.lookup;
        let strategies = [("on_timeout", on_timeout), ("on_error", on_error), ("on_miss", on_miss)];
        for (name, strategy) in strategies {
            if let (OnFailure::Default, Err(remedy)) = (strategy, default_row) {
                let place = format!("{path}.{name}");
                problems.add("no-default-row", place, "the lookup has no default row", remedy);
            }
        }
        let LookupRetry { backoff, max_backoff, .. } = self.retry;
        Backoff::check(backoff, max_backoff, &format!("{path}.retry"), problems);
        if self.cache.refresh_after.is_some_and(|after| after >= self.cache.ttl) {
            let message = "a row would expire before it is refreshed";
            let place = format!("{path}.cache.refresh_after");
            problems.add("bad-value", place, message, "write less than `cache.ttl`");
        }
    }
}
