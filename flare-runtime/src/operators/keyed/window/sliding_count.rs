//! Windows of the last so many records of a key.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::Key;
use crate::operators::keyed::{Aggregate, Context, Process};
use crate::state::{Declare, ValueState};

/// Gives, whenever a key has got `slide` records more, a result of its last `size`; of fewer as long as there are fewer.
///
/// Windows that overlap share panes, each an accumulator of as many records as `size` and `slide` have in common.
#[derive(Clone)]
pub struct SlidingCount<T, A: Aggregate<T>, O> {
    aggregate: A,
    out: O,
    slide: u64,
    /// Records in a pane.
    pane: u64,
    /// Panes in a window.
    panes: usize,
    open: ValueState<Open<A::Accumulator>>,
}

/// The last records of a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open<A> {
    /// Records since the last result.
    seen: u64,
    /// Of whole panes, but for the last.
    panes: VecDeque<A>,
}

impl<T, A: Aggregate<T>, O> SlidingCount<T, A, O> {
    /// Windows of `size` records every `slide`, both at least 1.
    pub fn new(aggregate: A, size: u64, slide: u64, out: O) -> Self {
        let pane = super::grid::common_divisor(size, slide);
        let panes = usize::try_from(size / pane).unwrap_or(usize::MAX);
        Self { aggregate, out, slide, pane, panes, open: ValueState::default() }
    }
}

impl<K, T, A, U, O> Process<K, T> for SlidingCount<T, A, O>
where
    K: Key,
    T: Clone + 'static,
    A: Aggregate<T>,
    O: FnMut(&K, A::Out) -> U + Clone + Send + 'static,
    U: Send + 'static,
{
    type Out = U;

    fn open(&mut self, states: &mut Declare<'_, K>) -> Result<()> {
        self.open = states.value(super::WINDOWS)?;
        Ok(())
    }

    fn process(&mut self, record: &T, cx: &mut Context<'_, K, U>) -> Result<()> {
        let Self { aggregate, slide, pane, panes, open, .. } = self;
        let fresh = || Open { seen: 0, panes: VecDeque::new() };
        let merged = open.update_or(cx, fresh, |open| {
            if open.seen.is_multiple_of(*pane) {
                if open.panes.len() >= *panes {
                    open.panes.pop_front();
                }
                open.panes.push_back(aggregate.create());
            }
            open.seen += 1;
            aggregate.add(open.panes.back_mut().expect("just made"), record);
            if open.seen < *slide {
                return None;
            }
            open.seen = 0;
            let mut whole = open.panes.iter();
            let mut merged = whole.next()?.clone();
            whole.for_each(|pane| aggregate.merge(&mut merged, pane));
            Some(merged)
        })?;
        if let Some(merged) = merged {
            let record = (self.out)(cx.key(), self.aggregate.result(&merged));
            cx.emit(record);
        }
        Ok(())
    }
}
