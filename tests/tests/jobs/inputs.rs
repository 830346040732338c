//! Random records, how they come, and how the job that reads them is run and crashes.

use std::time::Duration;

use flare::prelude::*;
use flare::test::{Crash, FlareTest, MockSource};
use proptest::prelude::*;
use serde::de::DeserializeOwned;

use crate::support::run;

/// A record of a few streams with up to three inputs each.
#[kafka(name = "left-0", topic = "left-0")]
#[kafka(name = "left-1", topic = "left-1")]
#[kafka(name = "left-2", topic = "left-2")]
#[kafka(name = "right-0", topic = "right-0")]
#[kafka(name = "right-1", topic = "right-1")]
#[kafka(name = "right-2", topic = "right-2")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) key: u8,
    pub(crate) at: i64,
    pub(crate) value: i64,
}

/// Records of a few inputs in the order of their arrival, each at most so much behind a later one of its input.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(crate) inputs: Vec<Vec<Event>>,
    pub(crate) disorder: i64,
    pub(crate) faults: Faults,
}

/// How a job is run: in which order its subtasks take turns, when checkpoints are taken, and when it crashes.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    seed: u64,
    parallelism: usize,
    checkpoint_every: Option<u64>,
    crashes: Vec<Crash>,
}

pub(crate) fn inputs() -> impl Strategy<Value = Inputs> {
    inputs_below(60)
}

/// Inputs of fewer records than that, each.
pub(crate) fn inputs_below(records: usize) -> impl Strategy<Value = Inputs> {
    let event = (0_u8..6, 0_i64..400, 0_i64..100);
    let input = proptest::collection::vec(event, 0..records);
    let all = (proptest::collection::vec(input, 1..4), 0_i64..80, faults());
    all.prop_map(|(inputs, disorder, faults)| {
        let sorted = |events: Vec<(u8, i64, i64)>| {
            let mut events: Vec<_> =
                events.into_iter().map(|(key, at, value)| Event { key, at, value }).collect();
            // Each comes with its own delay, so that what lies close together changes places.
            events.sort_by_key(|event| event.at + event.value * 7 % (disorder + 1));
            events
        };
        Inputs { inputs: inputs.into_iter().map(sorted).collect(), disorder, faults }
    })
}

fn faults() -> impl Strategy<Value = Faults> {
    let moment = prop_oneof![
        (1_u64..150).prop_map(Crash::at_record),
        (1_u64..12).prop_map(Crash::at_barrier),
        (1_u64..80).prop_map(Crash::in_sink),
    ];
    let crash = (moment, proptest::option::of(1_usize..5));
    let crash = crash.prop_map(|(crash, then)| then.map_or(crash, |then| crash.parallelism(then)));
    let all =
        (0_u64..1000, 1_usize..5, proptest::option::of(1_u64..40), proptest::collection::vec(crash, 0..4));
    all.prop_map(|(seed, parallelism, checkpoint_every, crashes)| Faults {
        seed,
        parallelism,
        checkpoint_every,
        crashes,
    })
}

impl Faults {
    /// Small batches let watermarks come often.
    pub(crate) fn apply(&self, test: &mut FlareTest) {
        test.seed(self.seed);
        test.set("job.parallelism", self.parallelism);
        test.set("job.batch", 3);
        self.checkpoint_every.into_iter().for_each(|records| test.checkpoint_every(records));
        self.crashes.iter().for_each(|crash| test.crash(*crash));
    }

    /// The same without a crash.
    pub(crate) fn none(&self) -> Self {
        Self { crashes: Vec::new(), ..self.clone() }
    }
}

impl Inputs {
    pub(crate) fn all(&self) -> Vec<Event> {
        self.inputs.iter().flatten().copied().collect()
    }

    /// The inputs together, with watermarks that no record is behind.
    pub(crate) fn in_time(&self, side: &str, job: &mut Job) -> Result<BoxedStream<Event>> {
        let disorder = ms(self.disorder);
        self.stream(side, job, || Watermarks::bounded(disorder))
    }

    /// The inputs together, with watermarks that many records are behind.
    pub(crate) fn out_of_time(&self, side: &str, job: &mut Job) -> Result<BoxedStream<Event>> {
        self.stream(side, job, Watermarks::monotonic)
    }

    /// As [`Inputs::out_of_time`], and an input that pauses holds no watermark back.
    pub(crate) fn idling(&self, side: &str, job: &mut Job) -> Result<BoxedStream<Event>> {
        self.stream(side, job, || Watermarks::monotonic().idle_after(ms(20)))
    }

    fn stream(
        &self,
        side: &str,
        job: &mut Job,
        watermarks: impl Fn() -> Watermarks<Event>,
    ) -> Result<BoxedStream<Event>> {
        let mut all: Option<BoxedStream<Event>> = None;
        for index in 0..self.inputs.len() {
            let stream = job.source_named::<Event>(&format!("{side}-{index}"))?;
            let timed = stream.event_time(|event| Timestamp::from_millis(event.at), watermarks());
            all = Some(match all {
                Some(before) => before.union(timed),
                None => timed,
            });
        }
        Ok(all.unwrap())
    }

    /// Gives the records of a side to a test, now and then with a pause.
    pub(crate) fn give(&self, side: &str, test: &mut FlareTest) {
        for (index, events) in self.inputs.iter().enumerate() {
            let then = |source: MockSource<Event>, event: &Event| match event.value % 8 {
                0 => source.pause(ms(event.value)).record(*event),
                _ => source.record(*event),
            };
            let source = events.iter().fold(MockSource::empty(), then);
            test.source_named(&format!("{side}-{index}"), source);
        }
    }

    /// What a job makes of them, sorted, whatever happens to it.
    pub(crate) fn run<T: Ord + Serialize + DeserializeOwned + Send + 'static>(
        &self,
        describe: impl Fn(&Self, &mut Job) -> Result<BoxedStream<T>> + 'static,
    ) -> Vec<T> {
        let own = self.clone();
        let given = run(
            move |job| describe(&own, job),
            |test| {
                self.give("left", test);
                self.faults.apply(test);
            },
        );
        given.unwrap_or_else(|error| panic!("{}", error.report())).sorted()
    }
}

pub(crate) fn ms(millis: i64) -> Duration {
    Duration::from_millis(millis.unsigned_abs())
}

/// More by one command: `PROPTEST_CASES=5000 cargo test -p flare-tests --test jobs windows`.
pub(crate) fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(60)
}
