//! Names of operators, subtasks and of the splits that sources read.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// The stable id of an operator: given by `.id("…")`, else derived from its kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorId(pub Arc<str>);

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for OperatorId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// One of the parallel copies of an operator's stage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubtaskId {
    /// The operator at the head of the stage.
    pub operator: OperatorId,
    /// From 0 to the parallelism minus one.
    pub index: usize,
}

impl fmt::Display for SubtaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.operator, self.index)
    }
}

/// A split's number in the job's [`Splits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SplitId(pub u32);

impl SplitId {
    /// No split is known.
    pub const NONE: Self = Self(u32::MAX);
}

/// A part of what a source reads, in an order of its own: a topic's partition, a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitName {
    /// The source that reads it.
    pub source: OperatorId,
    /// Its name: `orders/3`, a file's path.
    pub name: Arc<str>,
}

/// The names of all splits that a job's sources read, so that a record carries a number instead of a name.
#[derive(Clone, Debug, Default)]
pub struct Splits(Arc<RwLock<Vec<SplitName>>>);

impl Splits {
    /// The number of the split that `source` calls `name`; the same two give the same number.
    pub fn register(&self, source: &OperatorId, name: &str) -> SplitId {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = names.iter().position(|known| known.source == *source && known.name.as_ref() == name);
        let index = known.unwrap_or_else(|| {
            names.push(SplitName { source: source.clone(), name: name.into() });
            names.len() - 1
        });
        SplitId(u32::try_from(index).expect("fewer than 2^32 splits"))
    }

    /// The name behind a number.
    pub fn name(&self, split: SplitId) -> Option<SplitName> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.get(split.0 as usize).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_split_one_number() {
        let splits = Splits::default();
        let (source, other) = (OperatorId::from("source.Order"), OperatorId::from("source.Refund"));
        let first = splits.register(&source, "orders/0");
        assert_eq!(first, splits.register(&source, "orders/0"));
        assert_ne!(first, splits.register(&source, "orders/1"));
        assert_ne!(first, splits.register(&other, "orders/0"));
        assert_eq!(splits.name(first), Some(SplitName { source, name: "orders/0".into() }));
        assert_eq!(splits.name(SplitId::NONE), None);
    }
}
