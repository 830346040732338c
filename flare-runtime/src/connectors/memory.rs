//! Records held in memory.

use std::sync::Arc;

use async_trait::async_trait;

use crate::api::{Intake, Progress, Source};
use crate::error::Result;
use crate::model::Meta;

/// A source of given records; each subtask reads every `parallelism`-th.
pub struct Values<T> {
    values: Arc<Vec<T>>,
    next: usize,
    step: usize,
}

impl<T> Values<T> {
    /// The subtask `index` of `parallelism`.
    pub fn new(values: Arc<Vec<T>>, index: usize, parallelism: usize) -> Self {
        Self { values, next: index, step: parallelism.max(1) }
    }
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
}
