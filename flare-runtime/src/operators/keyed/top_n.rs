//! The records of a key that rank highest.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::process::{Context, Process};
use super::rolling::Aggregate;
use crate::error::Result;
use crate::model::Key;
use crate::state::{Declare, Kept, ValueState};

/// The `n` records with the highest rank, the highest first; of equal ranks those that came first.
#[derive(Clone, Copy, Debug)]
pub struct TopN<F> {
    /// How many.
    pub n: usize,
    /// A record's rank; `std::cmp::Reverse` of it gives the lowest.
    pub rank: F,
}

impl<F> TopN<F> {
    /// Puts a record into its place; `false` when there is none for it.
    fn put<T: Clone, R: Ord>(&self, top: &mut Vec<T>, record: &T) -> bool
    where
        F: Fn(&T) -> R,
    {
        let rank = (self.rank)(record);
        let place = top.partition_point(|known| (self.rank)(known) >= rank);
        if place >= self.n {
            return false;
        }
        top.truncate(self.n - 1);
        top.insert(place, record.clone());
        true
    }
}

impl<T, R, F> Aggregate<T> for TopN<F>
where
    T: Clone + Serialize + DeserializeOwned + Send + 'static,
    R: Ord,
    F: Fn(&T) -> R + Clone + Send + 'static,
{
    type Accumulator = Vec<T>;
    type Out = Vec<T>;

    fn create(&self) -> Vec<T> {
        Vec::new()
    }

    fn add(&self, top: &mut Vec<T>, record: &T) {
        self.put(top, record);
    }

    fn merge(&self, top: &mut Vec<T>, other: &Vec<T>) {
        for record in other {
            self.put(top, record);
        }
    }

    fn result(&self, top: &Vec<T>) -> Vec<T> {
        top.clone()
    }
}

/// Gives the top of a key each time it changes.
#[derive(Clone)]
pub struct RunningTopN<T, F> {
    top_n: TopN<F>,
    top: ValueState<Vec<T>>,
}

impl<T, F> RunningTopN<T, F> {
    /// Of the records that `top_n` keeps.
    pub fn new(top_n: TopN<F>) -> Self {
        Self { top_n, top: ValueState::default() }
    }
}

impl<K, T, R, F> Process<K, T> for RunningTopN<T, F>
where
    K: Key,
    T: Clone + Kept,
    R: Ord,
    F: Fn(&T) -> R + Clone + Send + 'static,
{
    type Out = (K, Vec<T>);

    fn open(&mut self, states: &mut Declare<'_, K>) -> Result<()> {
        self.top = states.value("top")?;
        Ok(())
    }

    fn process(&mut self, record: &T, cx: &mut Context<'_, K, Self::Out>) -> Result<()> {
        let Self { top_n, top } = self;
        let changed = top.update(cx, |top| top_n.put(top, record).then(|| top.clone()))?;
        if let Some(top) = changed {
            let key = cx.key().clone();
            cx.emit((key, top));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::keyed::ProcessOperator;
    use crate::operators::keyed::testing::Bench;

    #[test]
    fn gives_the_top_when_it_changes_and_the_first_of_equals() {
        let top_n = TopN { n: 2, rank: |record: &(u32, char)| record.0 };
        let operator = ProcessOperator::new(|_: &(u32, char)| (), RunningTopN::new(top_n));
        let mut bench = Bench::new(operator.expect("one state"));
        for (time, record) in
            [(3, 'a'), (5, 'b'), (1, 'c'), (3, 'd'), (5, 'e'), (5, 'f')].into_iter().enumerate()
        {
            bench.record(record, time as i64);
        }
        let tops: Vec<String> = bench
            .take()
            .into_iter()
            .map(|((_, top), _)| top.iter().map(|record| record.1).collect())
            .collect();
        assert_eq!(tops, ["a", "ba", "be"]);
    }
}
