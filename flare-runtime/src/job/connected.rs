//! A user's own operator over two streams.

use super::keyed::{KeyedInput, KeyedStream};
use super::stream::{BoxedStream, Exchanged, Parts, Stream};
use crate::config::Place;
use crate::model::{Either, Key};
use crate::operators::Step;
use crate::operators::keyed::{BothSides, BroadcastOperator, BroadcastProcess, CoProcess};
use crate::plan::Exchange;

/// Two streams of which all records of a key meet in the same subtask.
#[must_use = "a stream must end in a sink"]
pub struct ConnectedStreams<S: Step, R: Step, K, F, G> {
    left: KeyedStream<S, K, F>,
    right: KeyedStream<R, K, G>,
}

/// A keyed stream, and a control stream of which every subtask sees every record.
#[must_use = "a stream must end in a sink"]
pub struct BroadcastStream<S: Step, C: Step, K, F> {
    keyed: KeyedStream<S, K, F>,
    control: Stream<C>,
}

impl<S, K, F> KeyedStream<S, K, F>
where
    S: Step,
    S::Out: Exchanged,
    K: Key,
    F: FnMut(&S::Out) -> K + Clone + Send + Sync + 'static,
{
    /// Puts another stream with the same type of key beside this one, for an operator that reads both.
    ///
    /// ```
    /// # use flare_runtime::{error::Result, model::Key, operators::keyed::{Context, CoProcess}, state::{Declare, ValueState}};
    /// #[derive(Clone, Default)]
    /// struct Priced(ValueState<u64>);
    ///
    /// impl CoProcess<u32, (u32, u64), (u32, u64)> for Priced {
    ///     type Out = u64;
    ///
    ///     fn open(&mut self, states: &mut Declare<'_, u32>) -> Result<()> {
    ///         self.0 = states.value("price")?;
    ///         Ok(())
    ///     }
    ///
    ///     fn process_left(&mut self, (_, amount): &(u32, u64), cx: &mut Context<'_, u32, u64>) -> Result<()> {
    ///         let cost = self.0.get(cx)?.map(|price| price * amount);
    ///         cost.into_iter().for_each(|cost| cx.emit(cost));
    ///         Ok(())
    ///     }
    ///
    ///     fn process_right(&mut self, (_, price): &(u32, u64), cx: &mut Context<'_, u32, u64>) -> Result<()> {
    ///         self.0.set(cx, *price)
    ///     }
    /// }
    /// # flare_runtime::job::Runner::described("example", |job| {
    ///
    /// let orders = job.values("orders", vec![(1_u32, 3_u64)]).key_by(|order| order.0);
    /// let prices = job.values("prices", vec![(1_u32, 20_u64)]).key_by(|price| price.0);
    /// let costs = orders.connect(prices).process(Priced::default());
    /// costs.for_each(|cost| println!("{cost}")); // 60, or nothing when the order comes before the price
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    pub fn connect<R, G>(self, other: KeyedStream<R, K, G>) -> ConnectedStreams<S, R, K, F, G>
    where
        R: Step,
        R::Out: Exchanged,
        G: FnMut(&R::Out) -> K + Clone + Send + Sync + 'static,
    {
        ConnectedStreams { left: self, right: other }
    }

    /// Puts a control stream beside this one, of which every record comes to every subtask: rules, switches, small
    /// tables.
    ///
    /// Watermarks follow the slower of the two. A control stream without event time holds them back to its end, and
    /// with them timers and windows; give it an event time and [`Watermarks::idle_after`].
    ///
    /// [`Watermarks::idle_after`]: super::Watermarks::idle_after
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// # use flare_runtime::{error::Result, operators::keyed::{BroadcastProcess, Context}};
    /// #[derive(Clone)]
    /// struct Limited;
    ///
    /// impl BroadcastProcess<u32, (u32, u64), u64> for Limited {
    ///     type Out = u64;
    ///     type Name = ();
    ///     type Value = u64;
    ///
    ///     fn process(
    ///         &mut self,
    ///         (_, amount): &(u32, u64),
    ///         shared: &BTreeMap<(), u64>,
    ///         cx: &mut Context<'_, u32, u64>,
    ///     ) -> Result<()> {
    ///         if shared.get(&()).is_none_or(|limit| amount <= limit) {
    ///             cx.emit(*amount);
    ///         }
    ///         Ok(())
    ///     }
    ///
    ///     fn process_control(&mut self, limit: &u64, shared: &mut BTreeMap<(), u64>) -> Result<()> {
    ///         shared.insert((), *limit);
    ///         Ok(())
    ///     }
    /// }
    /// # flare_runtime::job::Runner::described("example", |job| {
    ///
    /// let orders = job.values("orders", vec![(1_u32, 3_u64), (1, 30)]).key_by(|order| order.0);
    /// let limits = job.values("limits", vec![10_u64]);
    /// let small = orders.broadcast(limits).process(Limited);
    /// small.for_each(|amount| println!("{amount}")); // 3, and 30 when it comes before the limit
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    pub fn broadcast<C: Step>(self, control: Stream<C>) -> BroadcastStream<S, C, K, F>
    where
        C::Out: Exchanged,
    {
        BroadcastStream { keyed: self, control }
    }
}

/// The key of a record of either stream.
pub(super) trait EitherKey<A, B, K>:
    FnMut(&Either<A, B>) -> K + Clone + Send + Sync + 'static
{
}

impl<A, B, K, F: FnMut(&Either<A, B>) -> K + Clone + Send + Sync + 'static> EitherKey<A, B, K> for F {}

impl<S, R, K, F, G> ConnectedStreams<S, R, K, F, G>
where
    S: Step,
    S::Out: Exchanged,
    R: Step,
    R::Out: Exchanged,
    K: Key,
    F: FnMut(&S::Out) -> K + Clone + Send + Sync + 'static,
    G: FnMut(&R::Out) -> K + Clone + Send + Sync + 'static,
{
    /// Runs the user's own operator over both streams: states, timers, records out.
    #[track_caller]
    pub fn process<P: CoProcess<K, S::Out, R::Out>>(self, process: P) -> BoxedStream<P::Out> {
        let place = Place::here();
        self.into_input(place).gives_time().process("process", place, BothSides(process))
    }

    /// Ends the stages before, so that the operator's own can begin.
    pub(super) fn into_input(
        self,
        place: Place,
    ) -> KeyedInput<Either<S::Out, R::Out>, K, impl EitherKey<S::Out, R::Out, K>> {
        let (left, mut left_key) = self.left.into_side(place, Either::<_, R::Out>::Left);
        let (right, mut right_key) = self.right.into_side(place, Either::<S::Out, _>::Right);
        let has_time = [&left, &right].iter().all(|side| side.job.lock().graph.has_time(&side.ports));
        let key = move |record: &Either<S::Out, R::Out>| match record {
            Either::Left(record) => left_key(record),
            Either::Right(record) => right_key(record),
        };
        let mut input = KeyedInput::new(together(left, right), key);
        input.has_time = has_time;
        input
    }
}

impl<S, C, K, F> BroadcastStream<S, C, K, F>
where
    S: Step,
    S::Out: Exchanged,
    C: Step,
    C::Out: Exchanged,
    K: Key,
    F: FnMut(&S::Out) -> K + Clone + Send + Sync + 'static,
{
    /// Runs the user's own operator: states and timers by key, a map for all keys, records out.
    #[track_caller]
    pub fn process<P: BroadcastProcess<K, S::Out, C::Out>>(self, process: P) -> BoxedStream<P::Out> {
        let place = Place::here();
        let (keyed, mut key) = self.keyed.into_side(place, Either::<_, C::Out>::Left);
        // One subtask keeps the order of what it gathers, so that all subtasks see the same.
        let control = if self.control.is_bare() { self.control.parallelism(1) } else { self.control };
        let mut control = control.into_ports_of(Either::<S::Out, _>::Right, Some(copy_control));
        for port in &mut control.ports {
            port.exchange = Exchange::Broadcast;
        }
        let key_of = key.clone();
        let input =
            KeyedInput::new(together(keyed, control), move |record: &Either<S::Out, C::Out>| match record {
                Either::Left(record) => key(record),
                Either::Right(_) => unreachable!("control records are broadcast"),
            });
        input.check_states(place, |states| process.clone().open(states));
        input.gives_time().operator("process", place, move |_, _| {
            let operator = BroadcastOperator::new(key_of.clone(), process.clone());
            operator.expect("its states were declared before")
        })
    }
}

/// The ports of both.
fn together(mut left: Parts, right: Parts) -> Parts {
    left.ports.extend(right.ports);
    left.behind_dirty |= right.behind_dirty;
    left
}

/// Copies a record of the control side, the only one that is copied.
fn copy_control<T, C: Clone>(record: &Either<T, C>) -> Either<T, C> {
    match record {
        Either::Left(_) => unreachable!("keyed records are not broadcast"),
        Either::Right(control) => Either::Right(control.clone()),
    }
}
