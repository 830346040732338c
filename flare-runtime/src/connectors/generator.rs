//! Records made by a function of the user, at a set rate.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::memory::{restored, share};
use crate::api::{
    Capability, Connector, CreateSource, Intake, Opening, Positions, Progress, Registry, Source,
    SourceConnector, SourceContext,
};
use crate::config::{Setting, Settings, settings};
use crate::error::Result;
use crate::model::Meta;

/// The connector's name.
pub(crate) const GENERATOR: &str = "generator";

settings! {
    /// Settings of a generator.
    pub struct GeneratorSettings {
        /// Records a second, all subtasks together; without it, as fast as they are taken.
        rate: Option<u64> [from 1],
        /// Records in all; without it, for ever.
        count: Option<u64> [from 1],
    }
}

impl GeneratorSettings {
    /// What it does, for reports.
    pub fn describe(&self) -> String {
        let rate = self.rate.map_or("full speed".to_owned(), |rate| format!("{rate}/s"));
        let count = self.count.map_or(String::new(), |count| format!(", {count} records"));
        format!("generator at {rate}{count}")
    }
}

/// One subtask of a generator; it makes every `parallelism`-th record.
pub struct GeneratorSource<T> {
    generate: fn(u64) -> T,
    next: u64,
    step: u64,
    count: u64,
    /// Time between two records of this subtask.
    interval: Option<Duration>,
    due: Instant,
    /// The name of its split.
    share: String,
}

impl<T> GeneratorSource<T> {
    /// The subtask of `cx`.
    ///
    /// # Errors
    /// When it had another parallelism before.
    pub fn new(generate: fn(u64) -> T, settings: &GeneratorSettings, cx: &SourceContext) -> Result<Self> {
        let step = cx.parallelism.max(1) as u64;
        let interval = settings.rate.map(|rate| Duration::from_secs_f64(step as f64 / rate as f64));
        let count = settings.count.unwrap_or(u64::MAX);
        let next = restored(cx)?.unwrap_or(cx.index as u64);
        Ok(Self { generate, next, step, count, interval, due: Instant::now(), share: share(cx) })
    }
}

#[async_trait]
impl<T: Send> Source<T> for GeneratorSource<T> {
    async fn read(&mut self, intake: &mut Intake<T>) -> Result<Progress> {
        if self.interval.is_some() {
            sleep_until(self.due).await;
        }
        let now = Instant::now();
        while !intake.is_full() && self.next < self.count {
            if let Some(interval) = self.interval {
                if self.due > now {
                    break;
                }
                self.due += interval;
            }
            intake.batch.push((self.generate)(self.next), Meta::NONE);
            self.next += self.step;
        }
        Ok(if self.next < self.count { Progress::More } else { Progress::End })
    }

    fn positions(&self) -> Positions {
        Positions(vec![(self.share.clone(), i64::try_from(self.next).unwrap_or(i64::MAX))])
    }
}

/// Generators are typed, so the job opens them itself; this entry makes the name and its settings known.
struct Known;

impl SourceConnector for Known {
    fn capability(&self) -> Capability {
        Capability::NONE
    }

    fn settings(&self) -> &'static [Setting] {
        GeneratorSettings::ALL
    }

    fn open(&self, _opening: &mut Opening<'_>) -> Option<Box<dyn CreateSource>> {
        None
    }
}

pub(crate) fn register(registry: &mut Registry) {
    registry.add(GENERATOR, Connector { source: Some(Box::new(Known)), ..Connector::default() });
}
