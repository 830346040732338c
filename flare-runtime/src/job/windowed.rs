//! What is made of the records of a window.

use super::keyed::WindowedStream;
use super::stream::{BoxedStream, Exchanged};
use crate::config::Place;
use crate::model::Key;
use crate::operators::Step;
use crate::operators::keyed::window::Window;
use crate::operators::keyed::{Aggregate, Count, Gather, Processed, Reduce, Sum};

impl<S, K, F> WindowedStream<S, K, F>
where
    S: Step,
    S::Out: Exchanged,
    K: Key,
    F: FnMut(&S::Out) -> K + Clone + Send + Sync + 'static,
{
    /// The number of records of each key in each window; otherwise as [`WindowedStream::aggregate`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use flare_runtime::{job::{Watermarks, Windows}, model::Timestamp};
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// # let views = job.values("views", vec![("home".to_owned(), 1_i64), ("home".to_owned(), 2)]);
    /// # let views = views.event_time(|view| Timestamp::from_millis(view.1), Watermarks::monotonic());
    /// let minutes = views.key_by(|view| view.0.clone()).window(Windows::tumbling(Duration::from_secs(60)));
    /// let counts = minutes.count(|page, window, count| (page.clone(), window.start, count));
    /// counts.for_each(|(page, minute, count)| println!("{page} at {minute}: {count}")); // home: 2
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn count<U, O>(self, out: O) -> BoxedStream<U>
    where
        O: FnMut(&K, Window, u64) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        self.aggregate(Count, out)
    }

    /// The sum of what `value` gives for each record of a key in each window; otherwise as
    /// [`WindowedStream::aggregate`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use flare_runtime::{job::{Watermarks, Windows}, model::Timestamp};
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// # let orders = job.values("orders", vec![(7_u32, 1_999_u64, 1_i64), (7, 500, 2)]);
    /// # let orders = orders.event_time(|order| Timestamp::from_millis(order.2), Watermarks::monotonic());
    /// let hours = orders.key_by(|order| order.0).window(Windows::tumbling(Duration::from_secs(3600)));
    /// let revenue = hours.sum(|order| order.1, |shop, window, cents| (*shop, window.start, cents));
    /// revenue.for_each(|(shop, hour, cents)| println!("{shop} at {hour}: {cents}")); // 7: 2499
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn sum<N, V, U, O>(self, value: V, out: O) -> BoxedStream<U>
    where
        V: Fn(&S::Out) -> N + Clone + Send + 'static,
        Sum<V>: Aggregate<S::Out, Out = N>,
        O: FnMut(&K, Window, N) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        self.aggregate(Sum(value), out)
    }

    /// The records of each key in each window, merged into one; otherwise as [`WindowedStream::aggregate`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use flare_runtime::{job::{Watermarks, Windows}, model::Timestamp};
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// # let bids = job.values("bids", vec![(1_u32, 3_i64), (1, 9), (1, 5)]);
    /// # let bids = bids.event_time(|bid| Timestamp::from_millis(bid.1), Watermarks::bounded(Duration::from_secs(1)));
    /// let minutes = bids.key_by(|bid| bid.0).window(Windows::tumbling(Duration::from_secs(60)));
    /// let highest = minutes.reduce(|best, bid| if bid.1 > best.1 { *best = bid }, |_, _, best| best);
    /// highest.for_each(|(item, cents)| println!("{item}: {cents}")); // 9
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn reduce<R, U, O>(self, reduce: R, mut out: O) -> BoxedStream<U>
    where
        R: Fn(&mut S::Out, S::Out) + Clone + Send + 'static,
        O: FnMut(&K, Window, S::Out) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        let out = move |key: &K, window, reduced: Option<S::Out>| {
            out(key, window, reduced.expect("a window begins with a record"))
        };
        self.aggregate(Reduce(reduce), out)
    }

    /// Any number of records of all that a key has in a window: `process` gets them in the order of their arrival, when
    /// the window is over. Their event time is the window's last millisecond. Records that come too late are counted as
    /// `late` and dropped.
    ///
    /// Each record is remembered until its windows are closed; where an aggregate does, it needs less room.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use flare_runtime::{job::{Watermarks, Windows}, model::Timestamp};
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// # let clicks = job.values("clicks", vec![(1_u32, 10_i64, "home"), (1, 20, "cart"), (1, 30, "paid")]);
    /// # let clicks = clicks.map(|(user, at, page)| (user, at, page.to_owned()));
    /// # let clicks = clicks.event_time(|click| Timestamp::from_millis(click.1), Watermarks::monotonic());
    /// let visits = clicks.key_by(|click| click.0).window(Windows::session(Duration::from_secs(1800)));
    /// let steps = visits.process(|user, _, clicks| {
    ///     let steps = clicks.windows(2).map(|pair| format!("{user}: {} > {}", pair[0].2, pair[1].2));
    ///     steps.collect::<Vec<_>>()
    /// });
    /// steps.for_each(|step| println!("{step}")); // 1: home > cart, 1: cart > paid
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn process<U, P>(self, process: P) -> BoxedStream<U::Item>
    where
        S::Out: Sync,
        P: FnMut(&K, Window, &[S::Out]) -> U + Clone + Send + 'static,
        U: IntoIterator + 'static,
        U::Item: Send + 'static,
    {
        let out = move || Processed(process.clone());
        let (input, windows) = self.into_input();
        input.windows("window", windows, Place::here(), Gather::default(), out)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::Place;
    use crate::job::load::{Selection, Subject, describe_subject};
    use crate::job::{Job, Watermarks, Windows};
    use crate::model::Timestamp;
    use crate::plan;

    #[test]
    fn the_plan_shows_what_windows_they_are() {
        let describe = |job: &mut Job| {
            let times = job.values("times", vec![Timestamp::MIN]);
            let keyed = times.event_time(|at| *at, Watermarks::monotonic()).key_by(|_| 1);
            let windows = Windows::sliding(Duration::from_secs(3600), Duration::from_secs(60));
            let counts = keyed.window(windows).count(|_, _, count| count);
            counts.key_by(|_| 1).count_window(5, crate::operators::keyed::Count, |_, n| n).for_each(|_| {});
            Ok(())
        };
        let subject = Subject::described("test", Place::here(), describe);
        let described = describe_subject(subject, &Selection::default()).expect("a job");
        assert!(described.builder.problems.is_empty(), "{:?}", described.builder.problems);
        let graph = &described.builder.graph;
        let text = plan::text(graph, 1);
        assert!(text.contains("window-1 x1 [sliding 1h by 1m] <- "), "{text}");
        assert!(text.contains("count_window-1 > for_each-1 x1 [5 records] <- "), "{text}");
        let diagram = plan::mermaid(graph, 1);
        assert!(diagram.contains("window-1<br/>sliding 1h by 1m<br/>x1"), "{diagram}");
        let outline = serde_json::to_value(plan::outline(graph, 1)).expect("plain data");
        assert_eq!(outline[2]["detail"], "sliding 1h by 1m");
    }
}
