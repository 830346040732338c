//! The first record of each key, and those that rank highest.

use super::keyed::{KeyedStream, WindowedStream};
use super::stream::{BoxedStream, Exchanged};
use crate::config::Place;
use crate::model::Key;
use crate::operators::Step;
use crate::operators::keyed::window::{Results, Window};
use crate::operators::keyed::{Deduplicate, RunningTopN, TopN};
use crate::state::Ttl;

impl<S, K, F> KeyedStream<S, K, F>
where
    S: Step,
    S::Out: Exchanged,
    K: Key,
    F: FnMut(&S::Out) -> K + Clone + Send + Sync + 'static,
{
    /// Keeps the first record of each key by arrival and drops the others, at once and whatever their event time.
    ///
    /// `ttl` says how long a key is remembered, in processing time: behind that, its next record is a first one again.
    /// With `Ttl::after_write` it counts from the record that was kept, with `Ttl::after_access` from the last one.
    /// `None` remembers for ever, which grows with the number of keys.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use flare_runtime::state::Ttl;
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let orders = job.values("orders", vec![(1_u32, "new"), (2, "new"), (1, "sent again")]);
    /// # let orders = orders.map(|(id, text)| (id, text.to_owned()));
    /// let once = orders.key_by(|order| order.0).deduplicate(Ttl::after_write(Duration::from_secs(3600)));
    /// once.for_each(|(id, text)| println!("{id} {text}")); // 1 new, 2 new
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn deduplicate(self, ttl: impl Into<Option<Ttl>>) -> BoxedStream<S::Out> {
        self.into_input().process("deduplicate", Place::here(), Deduplicate::new(ttl.into()))
    }

    /// The `n` records of each key with the highest rank so far, the highest first, each time they change; of equal
    /// ranks those that came first. `std::cmp::Reverse` of a rank gives the lowest.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let scores = job.values("scores", vec![("ann".to_owned(), 3), ("ann".to_owned(), 9), ("ann".to_owned(), 5)]);
    /// let best = scores.key_by(|score| score.0.clone()).top_n(2, |score| score.1);
    /// best.for_each(|(name, top)| println!("{name}: {top:?}")); // 3; 9, 3; 9, 5
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn top_n<R, O>(self, n: usize, rank: R) -> BoxedStream<(K, Vec<S::Out>)>
    where
        R: Fn(&S::Out) -> O + Clone + Send + 'static,
        O: Ord,
    {
        let place = Place::here();
        self.refuse_none(n, place);
        self.into_input().process("top_n", place, RunningTopN::new(TopN { n, rank }))
    }

    fn refuse_none(&self, n: usize, place: Place) {
        if n == 0 {
            let message = "the top 0 records are none";
            self.stream.job().lock().problems.add("bad-top", place, message, "write at least 1");
        }
    }
}

impl<S, K, F> WindowedStream<S, K, F>
where
    S: Step,
    S::Out: Exchanged,
    K: Key,
    F: FnMut(&S::Out) -> K + Clone + Send + Sync + 'static,
{
    /// The `n` records of each key in each window with the highest rank, the highest first, when the window is over; of
    /// equal ranks those that came first in tumbling and session windows. Records that come too late are counted as
    /// `late` and dropped.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use flare_runtime::{job::{Watermarks, Windows}, model::Timestamp};
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// # let bids = job.values("bids", vec![(1_u32, 3_i64), (1, 9), (1, 5)]);
    /// # let bids = bids.event_time(|bid| Timestamp::from_millis(bid.1), Watermarks::bounded(Duration::from_secs(1)));
    /// let minutes = bids.key_by(|bid| bid.0).window(Windows::tumbling(Duration::from_secs(60)));
    /// let best = minutes.top_n(2, |bid| bid.1);
    /// best.for_each(|(item, window, top)| println!("{item} at {}: {top:?}", window.start)); // 9, 5
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn top_n<R, O>(self, n: usize, rank: R) -> BoxedStream<(K, Window, Vec<S::Out>)>
    where
        R: Fn(&S::Out) -> O + Clone + Send + 'static,
        O: Ord,
    {
        let place = Place::here();
        self.stream.refuse_none(n, place);
        let row = |key: &K, window, top| (key.clone(), window, top);
        let (input, windows) = self.into_input();
        input.windows("top_n", windows, place, TopN { n, rank }, move || Results(row))
    }
}
