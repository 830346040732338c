//! The records inside a lookup, and the order in which they leave.

use std::collections::VecDeque;
use std::sync::Arc;

use super::settings::Order;
use crate::error::Error;
use crate::model::{Control, Meta};

/// How a record's lookup ended.
#[derive(Debug)]
pub(super) enum Answer<V> {
    /// A row was found.
    Row(Arc<V>),
    /// There is none.
    Miss,
    /// The time was over.
    Timeout,
    /// The request failed for good, at that attempt.
    Failed(Arc<Error>, u32),
}

impl<V> Clone for Answer<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Row(row) => Self::Row(Arc::clone(row)),
            Self::Miss => Self::Miss,
            Self::Timeout => Self::Timeout,
            Self::Failed(error, attempt) => Self::Failed(Arc::clone(error), *attempt),
        }
    }
}

/// A record on its way in.
#[derive(Debug)]
pub(super) struct Record<T, K> {
    pub(super) item: T,
    pub(super) meta: Meta,
    pub(super) key: K,
}

/// What leaves, in order.
#[derive(Debug)]
pub(super) enum Leaving<T, K, V> {
    Record(Record<T, K>, Answer<V>),
    Control(Control),
}

#[derive(Debug)]
enum Slot<T, K, V> {
    Waiting(Record<T, K>),
    /// Answered, behind something that has to leave first.
    Answered(Record<T, K>, Answer<V>),
    Control(Control),
    Gone,
}

/// The slots in the order of arrival, numbered from the first one ever.
#[derive(Debug)]
pub(super) struct Slots<T, K, V> {
    order: Order,
    slots: VecDeque<Slot<T, K, V>>,
    first: u64,
    /// Numbers of the control messages inside.
    controls: VecDeque<u64>,
    held: usize,
    leaving: Vec<Leaving<T, K, V>>,
}

impl<T, K, V> Slots<T, K, V> {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            slots: VecDeque::new(),
            first: 0,
            controls: VecDeque::new(),
            held: 0,
            leaving: Vec::new(),
        }
    }

    /// Records inside.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// What has left since the last call, in exchange for an empty list whose memory is used again.
    pub(super) fn take_leaving(&mut self, empty: Vec<Leaving<T, K, V>>) -> Vec<Leaving<T, K, V>> {
        debug_assert!(empty.is_empty());
        std::mem::replace(&mut self.leaving, empty)
    }

    /// Whether something waits to be taken.
    pub(super) fn is_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Takes in a record that has to wait; returns its number.
    pub(super) fn wait(&mut self, record: Record<T, K>) -> u64 {
        self.held += 1;
        self.slots.push_back(Slot::Waiting(record));
        self.first + self.slots.len() as u64 - 1
    }

    /// Takes in a record that is answered already.
    pub(super) fn pass(&mut self, record: Record<T, K>, answer: Answer<V>) {
        let free = match self.order {
            Order::Ordered => self.slots.is_empty(),
            Order::Unordered => self.controls.is_empty(),
        };
        if free {
            self.leaving.push(Leaving::Record(record, answer));
        } else {
            self.held += 1;
            self.slots.push_back(Slot::Answered(record, answer));
        }
    }

    /// Takes in a control message.
    pub(super) fn control(&mut self, control: Control) {
        if self.slots.is_empty() {
            self.leaving.push(Leaving::Control(control));
        } else {
            self.controls.push_back(self.first + self.slots.len() as u64);
            self.slots.push_back(Slot::Control(control));
        }
    }

    /// The waiting record of that number; `None` once it is answered.
    pub(super) fn waiting(&self, number: u64) -> Option<&Record<T, K>> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        match self.slots.get(index) {
            Some(Slot::Waiting(record)) => Some(record),
            _ => None,
        }
    }

    /// Answers the record of that number; does nothing when it was answered before.
    pub(super) fn answer(&mut self, number: u64, answer: Answer<V>) {
        let Some(index) = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok()) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Slot::Waiting(_) = slot else { return };
        let Slot::Waiting(record) = std::mem::replace(slot, Slot::Gone) else { unreachable!("just seen") };
        let fenced = self.controls.front().is_some_and(|fence| *fence < number);
        if self.order == Order::Unordered && !fenced {
            self.held -= 1;
            self.leaving.push(Leaving::Record(record, answer));
        } else {
            *slot = Slot::Answered(record, answer);
        }
        self.advance();
    }

    /// Lets out whatever has nothing before it any more.
    fn advance(&mut self) {
        while let Some(front) = self.slots.front_mut() {
            match std::mem::replace(front, Slot::Gone) {
                waiting @ Slot::Waiting(_) => {
                    *front = waiting;
                    return;
                }
                Slot::Answered(record, answer) => {
                    self.held -= 1;
                    self.leaving.push(Leaving::Record(record, answer));
                }
                Slot::Control(control) => {
                    self.controls.pop_front();
                    self.leaving.push(Leaving::Control(control));
                    self.slots.pop_front();
                    self.first += 1;
                    self.open_segment();
                    continue;
                }
                Slot::Gone => {}
            }
            self.slots.pop_front();
            self.first += 1;
        }
    }

    /// A fence has fallen: without order, everything answered up to the next one may leave.
    fn open_segment(&mut self) {
        if self.order == Order::Ordered {
            return;
        }
        let end = self.controls.front().map_or(self.slots.len() as u64, |fence| fence - self.first);
        for slot in self.slots.iter_mut().take(usize::try_from(end).unwrap_or(usize::MAX)) {
            if matches!(slot, Slot::Answered(..))
                && let Slot::Answered(record, answer) = std::mem::replace(slot, Slot::Gone)
            {
                self.held -= 1;
                self.leaving.push(Leaving::Record(record, answer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn record(item: u32) -> Record<u32, ()> {
        Record { item, meta: Meta::NONE, key: () }
    }

    fn leave(slots: &mut Slots<u32, (), ()>) -> Vec<String> {
        let leaving = slots.take_leaving(Vec::new()).into_iter().map(|leaving| match leaving {
            Leaving::Record(record, _) => record.item.to_string(),
            Leaving::Control(_) => "|".to_owned(),
        });
        leaving.collect()
    }

    const WATERMARK: Control = Control::Watermark(Timestamp::MAX);

    #[test]
    fn keeps_the_order_of_arrival_when_ordered() {
        let mut slots = Slots::new(Order::Ordered);
        let first = slots.wait(record(1));
        slots.pass(record(2), Answer::Miss);
        slots.control(WATERMARK);
        let third = slots.wait(record(3));
        slots.answer(third, Answer::Miss);
        assert!(leave(&mut slots).is_empty());
        assert_eq!(slots.held(), 3);
        slots.answer(first, Answer::Miss);
        slots.answer(first, Answer::Timeout);
        assert_eq!(leave(&mut slots), ["1", "2", "|", "3"]);
        assert_eq!(slots.held(), 0);
    }

    #[test]
    fn overtakes_records_but_no_control_when_unordered() {
        let mut slots = Slots::new(Order::Unordered);
        let first = slots.wait(record(1));
        slots.pass(record(2), Answer::Miss);
        let third = slots.wait(record(3));
        slots.control(WATERMARK);
        let fourth = slots.wait(record(4));
        slots.pass(record(5), Answer::Miss);
        slots.answer(fourth, Answer::Miss);
        slots.answer(third, Answer::Miss);
        assert_eq!(leave(&mut slots), ["2", "3"]);
        slots.answer(first, Answer::Miss);
        assert_eq!(leave(&mut slots), ["1", "|", "4", "5"]);
        assert_eq!(slots.held(), 0);
    }
}
