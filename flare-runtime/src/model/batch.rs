//! Batches of records, and the control messages that travel in order between them.

use super::{SplitId, Timestamp};

/// What is known of a record beside its value: when it happened and where it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Event time; [`Timestamp::MIN`] when the source gave none.
    pub timestamp: Timestamp,
    /// Where it was read: a topic partition, a file.
    pub split: SplitId,
    /// Position inside the split: a Kafka offset, a line number.
    pub offset: i64,
}

impl Meta {
    /// Of a record about which nothing is known.
    pub const NONE: Self = Self { timestamp: Timestamp::MIN, split: SplitId::NONE, offset: -1 };
}

/// Some records in order; `metas` is either empty or as long as `items`.
#[derive(Clone, Debug)]
pub struct Batch<T> {
    /// The records.
    pub items: Vec<T>,
    /// Their metadata, index by index; empty when no record has any.
    pub metas: Vec<Meta>,
}

impl<T> Batch<T> {
    /// An empty batch with room for `capacity` records.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { items: Vec::with_capacity(capacity), metas: Vec::new() }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The metadata of record `index`; [`Meta::NONE`] when the batch carries none.
    pub fn meta(&self, index: usize) -> Meta {
        self.metas.get(index).copied().unwrap_or(Meta::NONE)
    }

    /// Adds a record, keeping `metas` either empty or complete.
    pub fn push(&mut self, item: T, meta: Meta) {
        if !self.metas.is_empty() || meta != Meta::NONE {
            self.metas.resize(self.items.len(), Meta::NONE);
            self.metas.push(meta);
        }
        self.items.push(item);
    }

    /// Moves all records of `other` behind this batch's own.
    pub fn append(&mut self, other: &mut Self) {
        if !self.metas.is_empty() || !other.metas.is_empty() {
            self.metas.resize(self.items.len(), Meta::NONE);
            other.metas.resize(other.items.len(), Meta::NONE);
            self.metas.append(&mut other.metas);
        }
        self.items.append(&mut other.items);
    }

    /// The records with their metadata.
    pub fn into_records(self) -> impl Iterator<Item = (T, Meta)> {
        let metas = self.metas.into_iter().chain(std::iter::repeat(Meta::NONE));
        self.items.into_iter().zip(metas)
    }
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl<T> From<Vec<T>> for Batch<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, metas: Vec::new() }
    }
}

/// The mark that separates what belongs to checkpoint `id` from what comes after it.
///
/// Injected at the sources and aligned at every input (Chandy and Lamport, "Distributed Snapshots", 1985;
/// Carbone et al., "Lightweight Asynchronous Snapshots for Distributed Dataflows", 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Barrier {
    /// Number of the checkpoint, from 1 upwards.
    pub id: u64,
}

impl Barrier {
    /// The barrier that the end of all input stands for.
    pub const END: Self = Self { id: u64::MAX };
}

/// What travels between batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// No record with a lower event time is expected any more.
    Watermark(Timestamp),
    /// The input has nothing to say for now and holds nobody's watermark back.
    Idle,
    /// A checkpoint's border.
    Barrier(Barrier),
    /// No more records.
    End,
}

/// What an input port hands over.
#[derive(Clone, Debug)]
pub enum Message<T> {
    /// Records.
    Batch(Batch<T>),
    /// A control message.
    Control(Control),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(offset: i64) -> Meta {
        Meta { offset, ..Meta::NONE }
    }

    #[test]
    fn keeps_metas_complete_when_some_records_have_none() {
        let mut batch = Batch::default();
        batch.push("a", Meta::NONE);
        batch.push("b", meta(1));
        let mut other = Batch::from(vec!["c"]);
        batch.append(&mut other);
        assert_eq!(batch.metas, [Meta::NONE, meta(1), Meta::NONE]);
    }
}
