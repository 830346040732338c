//! Figures that operators count and the monitor reads.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde::{Serialize, Serializer};

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `count`; once a batch, not once a record.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets the number.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Durations, from a microsecond to an hour, with two significant digits (HdrHistogram).
#[derive(Clone)]
pub struct Histogram(Arc<Mutex<hdrhistogram::Histogram<u64>>>);

impl Histogram {
    /// Records a duration.
    pub fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let mut histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        histogram.saturating_record(micros.max(1));
    }

    /// The percentiles so far.
    pub fn percentiles(&self) -> Percentiles {
        let histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        Percentiles { count: histogram.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        let bounds = hdrhistogram::Histogram::new_with_bounds(1, 3_600_000_000, 2);
        Self(Arc::new(Mutex::new(bounds.expect("valid bounds"))))
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.percentiles().fmt(f)
    }
}

/// A histogram's summary; for programs, durations are seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// Number of durations.
    pub count: u64,
    /// Median.
    #[serde(serialize_with = "seconds")]
    pub p50: Duration,
    /// 99th percentile.
    #[serde(serialize_with = "seconds")]
    pub p99: Duration,
    /// Longest.
    #[serde(serialize_with = "seconds")]
    pub max: Duration,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// A figure's value at one moment; for programs, its number or numbers alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Figure {
    /// Of a [`Counter`].
    Count(u64),
    /// Of a [`Gauge`].
    Level(i64),
    /// Of a [`Histogram`].
    Durations(Percentiles),
}

#[derive(Clone, Debug)]
enum Metric {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

type Table = BTreeMap<(String, String), Metric>;

/// All figures of a job by operator and name; subtasks of one operator share theirs.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<RwLock<Table>>);

macro_rules! accessors {
    ($($(#[$doc:meta])* $name:ident: $ty:ident;)*) => { $(
        $(#[$doc])*
        ///
        /// # Panics
        /// When the name already stands for a figure of another kind.
        pub fn $name(&self, operator: &str, name: &str) -> $ty {
            let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
            let key = (operator.to_owned(), name.to_owned());
            match table.entry(key).or_insert_with(|| Metric::$ty($ty::default())) {
                Metric::$ty(metric) => metric.clone(),
                other => panic!("metric `{name}` of `{operator}` is {other:?} already"),
            }
        }
    )* };
}

impl Metrics {
    accessors! {
        /// The counter of that operator and name.
        counter: Counter;
        /// The gauge of that operator and name.
        gauge: Gauge;
        /// The histogram of that operator and name.
        histogram: Histogram;
    }

    /// All figures now, by operator and name.
    pub fn snapshot(&self) -> BTreeMap<(String, String), Figure> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let figures = table.iter().map(|(key, metric)| {
            let figure = match metric {
                Metric::Counter(counter) => Figure::Count(counter.get()),
                Metric::Gauge(gauge) => Figure::Level(gauge.get()),
                Metric::Histogram(histogram) => Figure::Durations(histogram.percentiles()),
            };
            (key.clone(), figure)
        });
        figures.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_programs_the_numbers_alone() {
        let metrics = Metrics::default();
        metrics.counter("a", "late").add(3);
        metrics.gauge("b", "open").set(-1);
        metrics.histogram("c", "latency").record(Duration::from_millis(1));
        let figures: Vec<_> = metrics.snapshot().into_values().collect();
        let shown = serde_json::to_string(&figures).expect("plain data");
        assert_eq!(shown, r#"[3,-1,{"count":1,"p50":0.001003,"p99":0.001003,"max":0.001003}]"#);
    }
}
