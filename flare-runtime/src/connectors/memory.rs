//! Records held in memory.

use std::sync::Arc;

use async_trait::async_trait;

use crate::api::{Intake, Positions, Progress, Source, SourceContext};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Meta;

/// A source of given records; each subtask reads every `parallelism`-th.
pub struct Values<T> {
    values: Arc<Vec<T>>,
    next: usize,
    step: usize,
    /// The name of its split.
    share: String,
}

impl<T> Values<T> {
    /// The subtask of `cx`.
    ///
    /// # Errors
    /// As `restored`.
    pub fn new(values: Arc<Vec<T>>, cx: &SourceContext) -> Result<Self> {
        let next = restored(cx)?.unwrap_or(cx.index as u64);
        let next = usize::try_from(next).unwrap_or(usize::MAX);
        Ok(Self { values, next, step: cx.parallelism.max(1), share: share(cx) })
    }
}

/// The split of a subtask that reads every so many-th record.
pub(super) fn share(cx: &SourceContext) -> String {
    format!("{} of {}", cx.index, cx.parallelism)
}

/// Where such a subtask goes on.
///
/// # Errors
/// `Config` when it had another parallelism before, and so other splits.
pub(super) fn restored(cx: &SourceContext) -> Result<Option<u64>> {
    let Some(positions) = cx.restored.as_deref() else { return Ok(None) };
    let Some(next) = positions.of(&share(cx)) else {
        let message = "a source that counts through its records cannot go on at another parallelism";
        let error = Error::new(ErrorKind::Config, message).with("operator", &cx.operator);
        let before: Vec<_> = positions.0.iter().map(|(name, _)| name.as_str()).collect();
        return Err(error.with("subtask", share(cx)).with("before", before.join(", ")));
    };
    Ok(u64::try_from(next).ok())
}

/// A source that has ended.
pub struct Nothing;

#[async_trait]
impl<T: Send> Source<T> for Nothing {
    async fn read(&mut self, _intake: &mut Intake<T>) -> Result<Progress> {
        Ok(Progress::End)
    }
}

#[async_trait]
impl<T: Clone + Send + Sync> Source<T> for Values<T> {
    async fn read(&mut self, intake: &mut Intake<T>) -> Result<Progress> {
        while !intake.is_full() {
            let Some(value) = self.values.get(self.next) else { return Ok(Progress::End) };
            intake.batch.push(value.clone(), Meta::NONE);
            self.next += self.step;
        }
        Ok(Progress::More)
    }

    fn positions(&self) -> Positions {
        Positions(vec![(self.share.clone(), i64::try_from(self.next).unwrap_or(i64::MAX))])
    }
}
