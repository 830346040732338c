//! Windows of a keyed stream that go by records instead of time.

use super::keyed::KeyedStream;
use super::stream::{BoxedStream, Exchanged};
use crate::config::Place;
use crate::model::Key;
use crate::operators::Step;
use crate::operators::keyed::Aggregate;
use crate::operators::keyed::window::{GlobalWindow, SlidingCount, Trigger};

impl<S, K, F> KeyedStream<S, K, F>
where
    S: Step,
    S::Out: Exchanged,
    K: Key,
    F: FnMut(&S::Out) -> K + Clone + Send + Sync + 'static,
{
    /// Whenever a key has got `slide` records more, a result of its last `size`, of which `out` makes a record. The
    /// first ones are of fewer records, as long as there are fewer.
    ///
    /// ```
    /// # use flare_runtime::operators::keyed::Sum;
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// # let prices = vec![("a".to_owned(), 1_i64), ("a".to_owned(), 2), ("a".to_owned(), 3), ("a".to_owned(), 4)];
    /// # let prices = job.values("prices", prices);
    /// let by_name = prices.key_by(|price| price.0.clone());
    /// let sums = by_name.sliding_count_window(3, 2, Sum(|price: &(String, i64)| price.1), |name, sum| {
    ///     (name.clone(), sum)
    /// });
    /// sums.for_each(|(name, sum)| println!("{name}: {sum}")); // of 1, 2, 3, 4: 3 and 9
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn sliding_count_window<A, U, O>(self, size: u64, slide: u64, aggregate: A, out: O) -> BoxedStream<U>
    where
        A: Aggregate<S::Out>,
        O: FnMut(&K, A::Out) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        let place = Place::here();
        if size == 0 || slide == 0 {
            let message = "a window of 0 records, or every 0 records, never ends";
            self.stream.job().lock().problems.add("bad-window", place, message, "write at least 1");
        }
        let windows = SlidingCount::new(aggregate, size.max(1), slide.max(1), out);
        self.into_input().process("count_window", place, windows)
    }

    /// One window of all records of a key, which gives a result whenever `trigger` calls for it, of which `out` makes a
    /// record. Its event time is that of the record or timer that the trigger was asked for.
    ///
    /// ```
    /// # use flare_runtime::operators::keyed::{Count, window::{Clearing, EveryCount}};
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// # let clicks = job.values("clicks", vec![1_u32, 1, 1, 1, 1]);
    /// // Each second click of a user; with `EveryCount(2)` alone the count would go on.
    /// let pairs = clicks.key_by(|user| *user).global_window(Clearing(EveryCount(2)), Count, |user, n| (*user, n));
    /// pairs.for_each(|(user, count)| println!("{user}: {count}")); // 2 and 2
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn global_window<G, A, U, O>(self, trigger: G, aggregate: A, out: O) -> BoxedStream<U>
    where
        G: Trigger<S::Out>,
        A: Aggregate<S::Out>,
        O: FnMut(&K, A::Out) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        let place = Place::here();
        self.into_input().process("global_window", place, GlobalWindow::new(aggregate, trigger, out))
    }
}
