//! Starts a job under test, again and again.

use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::faults::{Crash, Faults};
use crate::api::{Clock, Metrics};
use crate::checkpoint::{Restore, Savepoint};
use crate::config::Place;
use crate::engine::Checkpoints;
use crate::error::Result;
use crate::job::stand_ins::StandIns;
use crate::job::{Job, Running, Selection, Subject, Summary, check_all, describe_subject};

/// Makes the job under test for each run.
pub(super) enum Subjects {
    Declared(String),
    Described(String, Place, Arc<dyn Fn(&mut Job) -> Result<()>>),
}

impl Subjects {
    pub(super) fn declared(name: &str) -> Result<Self> {
        Subject::declared(Some(name))?;
        Ok(Self::Declared(name.to_owned()))
    }

    pub(super) fn described(
        name: &str,
        place: Place,
        describe: impl Fn(&mut Job) -> Result<()> + 'static,
    ) -> Self {
        Self::Described(name.to_owned(), place, Arc::new(describe))
    }

    pub(super) fn make(&self) -> Result<Subject> {
        match self {
            Self::Declared(name) => Subject::declared(Some(name)),
            Self::Described(name, place, describe) => {
                let describe = Arc::clone(describe);
                Ok(Subject::described(name, *place, move |job| describe(job)))
            }
        }
    }
}

/// All that runs of one test have in common.
pub(super) struct Rig {
    pub(super) subject: Subjects,
    pub(super) selection: Selection,
    pub(super) stand_ins: Arc<StandIns>,
    pub(super) faults: Faults,
    pub(super) seed: Option<u64>,
    pub(super) drops_state: bool,
    pub(super) clock: Clock,
    /// How many came.
    pub(super) crashes: usize,
    /// Have the sinks forget what came behind a barrier.
    pub(super) roll_backs: Vec<Box<dyn Fn(u64) + Send>>,
}

/// One run of the job.
pub(super) struct Run {
    pub(super) job: JoinHandle<Result<Summary>>,
    /// Is notified at the job's end.
    pub(super) ended: Arc<Notify>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) checkpoints: Checkpoints,
    pub(super) metrics: Metrics,
}

impl Rig {
    /// Starts a run from a savepoint.
    pub(super) fn begin(&self, runtime: &Runtime, savepoint: Option<Arc<Savepoint>>) -> Result<Run> {
        let subject = Subject { stand_ins: Some(Arc::clone(&self.stand_ins)), ..self.subject.make()? };
        let mut described = describe_subject(subject, &self.selection)?;
        let metrics = described.builder.metrics.clone();
        let checkpoints = Checkpoints::new(savepoint.clone());
        self.faults.begin(checkpoints.clone());
        let restore = savepoint.map(|savepoint| Restore { savepoint, drops_unread: self.drops_state });
        let (stop, stopped) = watch::channel(false);
        let faults = self.faults.clone();
        let observe = Arc::new(move |barrier| faults.barrier(barrier));
        let ended = Arc::new(Notify::new());
        let at_end = Arc::clone(&ended);
        let job = runtime.block_on(async {
            check_all(&mut described.builder).await?;
            let running = Running::new(described.builder).testing(self.clock.clone(), self.seed);
            let running = running.keeping(checkpoints.clone(), restore, observe);
            Ok::<_, crate::error::Error>(tokio::spawn(async move {
                let summary = running.run(stopped).await;
                at_end.notify_one();
                summary
            }))
        })?;
        Ok(Run { job, ended, stop, checkpoints, metrics })
    }

    /// Starts a run after another one has crashed: from its last completed checkpoint.
    pub(super) fn begin_again(
        &mut self,
        runtime: &Runtime,
        crashed: &Run,
        crash: Option<Crash>,
    ) -> Result<Run> {
        self.crashes += 1;
        if let Some(parallelism) = crash.and_then(|crash| crash.parallelism) {
            self.selection.settings.push(format!("job.parallelism={parallelism}"));
        }
        self.seed = self.seed.map(|seed| seed.wrapping_add(1));
        let latest = crashed.checkpoints.latest();
        let barrier = latest.as_ref().map_or(0, |savepoint| savepoint.barrier);
        self.roll_backs.iter().for_each(|roll_back| roll_back(barrier));
        self.begin(runtime, latest)
    }
}
