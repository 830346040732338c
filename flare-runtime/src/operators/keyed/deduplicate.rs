//! The first record of each key.

use super::process::{Context, Process};
use crate::error::Result;
use crate::model::Key;
use crate::state::{Declare, Ttl, ValueState};

/// Passes the first record of each key on and drops the others.
#[derive(Clone, Default)]
pub struct Deduplicate {
    ttl: Option<Ttl>,
    seen: ValueState<()>,
}

impl Deduplicate {
    /// Remembers keys as `ttl` says; without it for ever.
    pub fn new(ttl: Option<Ttl>) -> Self {
        Self { ttl, seen: ValueState::default() }
    }
}

impl<K: Key, T: Clone + Send + 'static> Process<K, T> for Deduplicate {
    type Out = T;

    fn open(&mut self, states: &mut Declare<'_, K>) -> Result<()> {
        self.seen = match self.ttl {
            Some(ttl) => states.ttl(ttl).value("seen"),
            None => states.value("seen"),
        }?;
        Ok(())
    }

    fn process(&mut self, record: &T, cx: &mut Context<'_, K, T>) -> Result<()> {
        if self.seen.get(cx)?.is_none() {
            self.seen.set(cx, ())?;
            cx.emit(record.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Timestamp;
    use crate::operators::keyed::ProcessOperator;
    use crate::operators::keyed::testing::Bench;

    #[test]
    fn a_key_is_new_again_when_its_time_is_over() {
        let ttl = Ttl::after_write(Duration::from_millis(10));
        let operator = ProcessOperator::new(|record: &u32| *record, Deduplicate::new(Some(ttl)));
        let mut bench = Bench::new(operator.expect("one state"));
        for now in [0, 5, 9, 10, 19, 20] {
            bench.now = Timestamp::from_millis(now);
            bench.record(7, now);
        }
        assert_eq!(bench.take(), [(7, 0), (7, 10), (7, 20)]);
    }
}
