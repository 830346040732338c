//! The records of two streams that fall into the same window.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{Either, Key};
use crate::operators::keyed::Aggregate;
use crate::operators::keyed::window::{Window, WindowOut};

/// Gathers the records of two streams, each in the order of their arrival.
#[derive(Clone, Copy, Debug)]
pub struct CoGroup;

impl<A, B> Aggregate<Either<A, B>> for CoGroup
where
    A: Clone + Serialize + DeserializeOwned + Send + 'static,
    B: Clone + Serialize + DeserializeOwned + Send + 'static,
{
    type Accumulator = (Vec<A>, Vec<B>);
    type Out = (Vec<A>, Vec<B>);

    fn create(&self) -> Self::Accumulator {
        (Vec::new(), Vec::new())
    }

    fn add(&self, (left, right): &mut Self::Accumulator, record: &Either<A, B>) {
        match record {
            Either::Left(record) => left.push(record.clone()),
            Either::Right(record) => right.push(record.clone()),
        }
    }

    fn add_owned(&self, (left, right): &mut Self::Accumulator, record: Either<A, B>) {
        match record {
            Either::Left(record) => left.push(record),
            Either::Right(record) => right.push(record),
        }
    }

    fn merge(&self, (left, right): &mut Self::Accumulator, other: &Self::Accumulator) {
        left.extend_from_slice(&other.0);
        right.extend_from_slice(&other.1);
    }

    fn result(&self, groups: &Self::Accumulator) -> Self::Out {
        groups.clone()
    }
}

/// Gives the records that a function makes of both groups.
pub struct Joined<F>(pub F);

impl<K, A, B, U, F> WindowOut<K, Either<A, B>, (Vec<A>, Vec<B>)> for Joined<F>
where
    K: Key,
    F: FnMut(&K, Window, &[A], &[B]) -> U + Send + 'static,
    U: IntoIterator,
    U::Item: Send + 'static,
{
    type Out = U::Item;

    fn result(
        &mut self,
        key: &K,
        window: Window,
        (left, right): (Vec<A>, Vec<B>),
        emit: impl FnMut(U::Item),
    ) {
        (self.0)(key, window, &left, &right).into_iter().for_each(emit);
    }

    fn late(&mut self, _item: Either<A, B>) -> Option<U::Item> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;
    use crate::api::Counter;
    use crate::operators::keyed::KeyedOperator;
    use crate::operators::keyed::testing::Bench;
    use crate::operators::keyed::window::{Domain, Firing, FixedWindows, Grid, SessionWindows, WindowParts};

    /// A record that tells whether somebody remembers it.
    #[derive(Clone, Default, Serialize, Deserialize)]
    struct Tracked(#[serde(skip)] Arc<()>);

    type Pair = Either<Tracked, Tracked>;
    type Counts = fn(&u8, Window, &[Tracked], &[Tracked]) -> Option<(usize, usize)>;

    fn parts() -> WindowParts<fn(&Pair) -> u8, CoGroup, Joined<Counts>> {
        let firing = Firing { domain: Domain::Event, lateness: Duration::ZERO, early: None };
        let out = Joined::<Counts>(|_, _, left, right| Some((left.len(), right.len())));
        WindowParts { key: |_| 1, aggregate: CoGroup, out, firing, late: Counter::default() }
    }

    fn check<O: KeyedOperator<Pair, Out = (usize, usize)>>(operator: O, expected: &[((usize, usize), i64)]) {
        let (mut bench, tracked) = (Bench::new(operator), Tracked::default());
        for (side, time) in [(Either::Left as fn(_) -> _, 1), (Either::Right, 3), (Either::Left, 24)] {
            bench.record(side(tracked.clone()), time);
        }
        bench.watermark(60);
        assert_eq!(bench.take(), expected);
        assert_eq!(Arc::strong_count(&tracked.0), 1);
    }

    #[test]
    fn gives_windows_with_one_side_only_and_forgets_them() {
        let tumbling = Grid::even(10, 10, 0);
        check(FixedWindows::new(parts(), tumbling), &[((1, 1), 9), ((1, 0), 29)]);
        let sliding = Grid::even(10, 5, 0);
        check(FixedWindows::new(parts(), sliding), &[((1, 1), 4), ((1, 1), 9), ((1, 0), 24), ((1, 0), 29)]);
        check(SessionWindows::new(parts(), Duration::from_millis(10)), &[((1, 1), 12), ((1, 0), 33)]);
    }
}
