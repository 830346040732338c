//! Figures of the job's author: counters, counters by label, gauges, durations.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::sources::Job;
use crate::api::{Counter, Gauge, Histogram, Metrics};

/// The operator that figures of the job's author stand under.
pub(crate) const USER: &str = "user";

impl Job {
    /// A counter of the author's own, to be cloned into functions. It stands in the summary under `user`, and a test
    /// reads it by `run.counter("user", "expensive")`. The same name gives the same counter. It begins at 0 in each run.
    ///
    /// ```
    /// # let summary = flare_runtime::job::Runner::described("example", |job| {
    /// # let prices = job.values("prices", vec![5, 500]);
    /// let expensive = job.counter("expensive");
    /// let counted = prices.inspect(move |price| expensive.add(u64::from(*price > 100)));
    /// # counted.for_each(|_| {});
    /// # Ok(()) }).run_blocking().unwrap();
    /// # assert_eq!(summary.operators["user"].len(), 1);
    /// ```
    pub fn counter(&self, name: &str) -> Counter {
        self.metrics().counter(USER, name)
    }

    /// A counter for each label, such as each kind of order. Each label takes memory for as long as the job runs, so
    /// there should be few of them: kinds and countries, not users.
    ///
    /// ```
    /// # let summary = flare_runtime::job::Runner::described("example", |job| {
    /// # let orders = job.values("orders", vec!["card", "cash", "card"]);
    /// let by_kind = job.multi_counter("by_kind");
    /// let counted = orders.inspect(move |kind| by_kind.add(kind, 1));
    /// # counted.for_each(|_| {});
    /// # Ok(()) }).run_blocking().unwrap();
    /// # assert!(summary.operators["user"].contains_key("by_kind{card}"));
    /// ```
    pub fn multi_counter(&self, name: &str) -> MultiCounter {
        let known = Arc::new(RwLock::default());
        MultiCounter { name: name.into(), metrics: self.metrics(), known }
    }

    /// A number of the author's own that goes up and down.
    pub fn gauge(&self, name: &str) -> Gauge {
        self.metrics().gauge(USER, name)
    }

    /// Durations of the author's own, of which the summary shows percentiles.
    pub fn durations(&self, name: &str) -> Histogram {
        self.metrics().histogram(USER, name)
    }

    fn metrics(&self) -> Metrics {
        self.handle.lock().metrics.clone()
    }
}

/// A counter for each label. A clone is the same.
#[derive(Clone, Debug)]
pub struct MultiCounter {
    name: Arc<str>,
    metrics: Metrics,
    known: Arc<RwLock<HashMap<String, Counter>>>,
}

impl MultiCounter {
    /// Adds to the counter of a label.
    pub fn add(&self, label: &str, count: u64) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = known.get(label) {
            return counter.add(count);
        }
        drop(known);
        let counter = self.metrics.counter(USER, &labelled(&self.name, label));
        counter.add(count);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(label.to_owned(), counter);
    }
}

/// The name that the counter of a label has.
pub(crate) fn labelled(name: &str, label: &str) -> String {
    format!("{name}{{{label}}}")
}
