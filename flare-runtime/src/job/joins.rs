//! Joins of two keyed streams.

use super::keyed::KeyedStream;
use super::stream::{BoxedStream, Exchanged};
use super::windows::Windows;
use crate::config::Place;
use crate::model::Key;
use crate::operators::Step;
use crate::operators::keyed::join::{CoGroup, IntervalJoin, Joined, NEEDS_TIME, RelativeTime, TemporalJoin};
use crate::operators::keyed::window::Window;

impl<S, K, F> KeyedStream<S, K, F>
where
    S: Step,
    S::Out: Exchanged,
    K: Key,
    F: FnMut(&S::Out) -> K + Clone + Send + Sync + 'static,
{
    /// Joins every two records of a key of which the other stream's happened from `lower` to `upper` of this stream's,
    /// both included. Each pair is given once, as soon as both records are there; its event time is the later one's.
    ///
    /// Records are remembered until the watermark says that no partner can come. Those that come behind the watermark
    /// are counted as `late` and dropped.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use flare_runtime::{job::Watermarks, model::Timestamp, operators::keyed::join::RelativeTime::{After, Before}};
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// # let at = |(_, seconds): &(u32, i64)| Timestamp::from_millis(seconds * 1000);
    /// # let orders = job.values("orders", vec![(1_u32, 100_i64)]).event_time(at, Watermarks::monotonic());
    /// # let payments = job.values("payments", vec![(1_u32, 160_i64)]).event_time(at, Watermarks::monotonic());
    /// let (orders, payments) = (orders.key_by(|order| order.0), payments.key_by(|payment| payment.0));
    /// let (lower, upper) = (Before(Duration::from_secs(5)), After(Duration::from_secs(3600)));
    /// let took = |order: &(u32, i64), payment: &(u32, i64)| (order.0, payment.1 - order.1);
    /// let paid = orders.interval_join(payments, lower, upper, took);
    /// paid.for_each(|(order, seconds)| println!("{order} was paid after {seconds} s")); // 60
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn interval_join<R, G, U, J>(
        self,
        other: KeyedStream<R, K, G>,
        lower: RelativeTime,
        upper: RelativeTime,
        join: J,
    ) -> BoxedStream<U>
    where
        R: Step,
        R::Out: Exchanged,
        G: FnMut(&R::Out) -> K + Clone + Send + Sync + 'static,
        J: FnMut(&S::Out, &R::Out) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        let place = Place::here();
        let bounds = lower.as_millis()..=upper.as_millis();
        if bounds.is_empty() {
            let message = "an interval that ends before it begins holds no record";
            let remedy = "write the earlier bound first";
            self.stream.job().lock().problems.add("bad-interval", place, message, remedy);
        }
        let input = self.connect(other).into_input(place);
        input.check_time("an interval join", place, NEEDS_TIME);
        let late = input.late();
        input.gives_time().operator("interval_join", place, move |key, wiring| {
            IntervalJoin::new(key, join.clone(), bounds.clone(), late(wiring))
        })
    }

    /// Joins the records of a key that fall into the same window: `join` is called with those of this stream and those
    /// of the other one, each in the order of their arrival, where a window has any of either. One side may be empty,
    /// so that outer joins are written as inner ones. The results' event time is the window's last millisecond.
    ///
    /// Sessions go by the records of both streams. Records that come too late are counted as `late` and dropped.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use flare_runtime::{job::{Watermarks, Windows}, model::Timestamp};
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// # let at = |(_, seconds): &(u32, i64)| Timestamp::from_millis(seconds * 1000);
    /// # let views = job.values("views", vec![(1_u32, 10_i64), (1, 20)]).event_time(at, Watermarks::monotonic());
    /// # let clicks = job.values("clicks", vec![(1_u32, 30_i64)]).event_time(at, Watermarks::monotonic());
    /// let (views, clicks) = (views.key_by(|view| view.0), clicks.key_by(|click| click.0));
    /// let minutes = Windows::tumbling(Duration::from_secs(60));
    /// let ratios = views.window_join(clicks, minutes, |page, window, views, clicks| {
    ///     (!views.is_empty()).then(|| (*page, window.start, clicks.len() as f64 / views.len() as f64))
    /// });
    /// ratios.for_each(|(page, minute, ratio)| println!("{page} at {minute}: {ratio}")); // 0.5
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn window_join<R, G, U, J>(
        self,
        other: KeyedStream<R, K, G>,
        windows: Windows,
        join: J,
    ) -> BoxedStream<U::Item>
    where
        R: Step,
        R::Out: Exchanged,
        G: FnMut(&R::Out) -> K + Clone + Send + Sync + 'static,
        J: FnMut(&K, Window, &[S::Out], &[R::Out]) -> U + Clone + Send + 'static,
        U: IntoIterator + 'static,
        U::Item: Send + 'static,
    {
        let place = Place::here();
        let input = self.connect(other).into_input(place);
        input.windows("window_join", windows, place, CoGroup, move || Joined(join.clone()))
    }

    /// Joins each record with the version of its key that was valid at its event time: of the records of `versions`
    /// with the key the newest that is not younger; of two of the same event time the one that came last. `join` gets
    /// `None` where there is none yet. The result keeps the record's event time.
    ///
    /// A record waits until the watermark has passed it, for until then its version may come. Versions that are
    /// replaced are forgotten then; the newest of each key stays. Records that come behind the watermark are counted as
    /// `late` and dropped; a late version is valid for the records that are not joined yet.
    ///
    /// ```
    /// # use flare_runtime::{job::Watermarks, model::Timestamp};
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// # let at = |(_, _, seconds): &(String, f64, i64)| Timestamp::from_millis(seconds * 1000);
    /// # let record = |amount, seconds| ("EUR".to_owned(), amount, seconds);
    /// # let orders = job.values("orders", vec![record(100.0, 20)]).event_time(at, Watermarks::monotonic());
    /// # let rates = vec![record(1.5, 10), record(2.5, 30)];
    /// # let rates = job.values("rates", rates).event_time(at, Watermarks::monotonic());
    /// let (orders, rates) = (orders.key_by(|order| order.0.clone()), rates.key_by(|rate| rate.0.clone()));
    /// let converted = orders.temporal_join(rates, |order, rate| Some(order.1 * rate?.1));
    /// converted.for_each(|amount| println!("{amount:?}")); // Some(150.0)
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn temporal_join<R, G, U, J>(self, versions: KeyedStream<R, K, G>, join: J) -> BoxedStream<U>
    where
        R: Step,
        R::Out: Exchanged,
        G: FnMut(&R::Out) -> K + Clone + Send + Sync + 'static,
        J: FnMut(S::Out, Option<&R::Out>) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        let place = Place::here();
        let input = self.connect(versions).into_input(place);
        input.check_time("a temporal join", place, NEEDS_TIME);
        let late = input.late();
        input.gives_time().operator("temporal_join", place, move |key, wiring| {
            TemporalJoin::new(key, join.clone(), late(wiring))
        })
    }
}
