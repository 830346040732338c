//! Event time of streams whose source gives none, or another.

use std::sync::Arc;
use std::time::Duration;

use super::stream::{BoxedStream, OpenStage, Parts, Stream};
use crate::api::{Downstream, Subtask};
use crate::config::Place;
use crate::model::Timestamp;
use crate::operators::{OwnWatermark, ReadTime, Stamping, Step, WatermarkStrategy};
use crate::plan::{Graph, StageInfo, Wiring};

/// How far event time has come, by the records seen: the watermark. No record with an earlier event time is expected
/// behind it; one that comes nevertheless is late.
pub struct Watermarks<T> {
    out_of_orderness: Duration,
    own: Option<OwnWatermark<T>>,
    idle_after: Option<Duration>,
}

impl<T> Watermarks<T> {
    /// Event times never go back within a split.
    pub fn monotonic() -> Self {
        Self::bounded(Duration::ZERO)
    }

    /// A record comes at most so far behind a later one of its split.
    pub fn bounded(out_of_orderness: Duration) -> Self {
        Self { out_of_orderness, own: None, idle_after: None }
    }

    /// `own` says for a record and its event time how far event time has come in its split; `None` leaves it.
    pub fn by(own: impl Fn(&T, Timestamp) -> Option<Timestamp> + Send + Sync + 'static) -> Self {
        Self { out_of_orderness: Duration::ZERO, own: Some(Arc::new(own)), idle_after: None }
    }

    /// After `time` without a record, a split holds nobody's watermark back.
    #[must_use]
    pub fn idle_after(mut self, time: Duration) -> Self {
        self.idle_after = Some(time);
        self
    }
}

impl<S: Step> Stream<S> {
    /// Gives each record the event time that `time` reads, and the stream these watermarks; those from before end
    /// here. For a source with an attribute, its `event_time = "field"` does the same where the records are read.
    #[track_caller]
    pub fn event_time<F>(self, time: F, watermarks: Watermarks<S::Out>) -> BoxedStream<S::Out>
    where
        F: Fn(&S::Out) -> Timestamp + Send + Sync + 'static,
    {
        let place = Place::here();
        let Parts { job, ports, behind_dirty } = self.into_ports(None);
        let Watermarks { out_of_orderness, own, idle_after } = watermarks;
        let time: ReadTime<S::Out> = Arc::new(time);
        let keeping = job.lock().keeping();
        let strategy = WatermarkStrategy { time, out_of_orderness, own, idle_after };
        let build = move |wiring: &mut Wiring, downstream: Downstream<S::Out>| -> Box<dyn Subtask> {
            let keeping = keeping(wiring);
            Box::new(Stamping::new(wiring.input::<S::Out>(), downstream, strategy.clone(), keeping))
        };
        let head = job.lock().numbered("event_time", place);
        let info = StageInfo { behind_dirty, gives_time: true, ..StageInfo::new(head) };
        let add = Box::new(Graph::add_stage::<S::Out>);
        BoxedStream::from_stage(&job, OpenStage { info, build: Box::new(build), reads: ports, add })
    }
}
