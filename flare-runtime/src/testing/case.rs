//! One way to run a test: an order of its subtasks, checkpoints and crashes.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use rand::RngExt;
use rand::rngs::SmallRng;

use super::faults::{Crash, Faults, Moment};
use super::kit::FlareTest;

/// One case of an [`Exploration`](super::Exploration).
#[derive(Clone, Default)]
pub struct Case {
    seed: Option<u64>,
    parallelism: Option<usize>,
    checkpoint_every: Option<u64>,
    crashes: Vec<Crash>,
    /// Those of the test that the case was given to.
    faults: RefCell<Option<Faults>>,
}

/// How many records a test's sources gave, and how many its sinks took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) records: u64,
    pub(super) taken: u64,
}

impl Case {
    /// Has `test` run in this way.
    pub fn apply(&self, test: &mut FlareTest) {
        self.seed.into_iter().for_each(|seed| test.seed(seed));
        self.parallelism.into_iter().for_each(|parallelism| test.set("job.parallelism", parallelism));
        self.checkpoint_every.into_iter().for_each(|records| test.checkpoint_every(records));
        self.crashes.iter().for_each(|crash| test.crash(*crash));
        self.faults.replace(Some(test.faults()));
    }

    /// How far the last test went.
    pub(super) fn reach(&self) -> Option<Reach> {
        let faults = self.faults.borrow();
        faults.as_ref().map(Faults::reach)
    }

    /// A case of its own, for a test that goes so far without a fault.
    pub(super) fn random(random: &mut SmallRng, reach: Reach, parallelism: &RangeInclusive<usize>) -> Self {
        let checkpoint_every = random.random_bool(0.8).then(|| random.random_range(1..=reach.records.max(1)));
        let crashes = random.random_range(0..=3);
        let crashes = (0..crashes).map(|_| {
            let moment = match random.random_range(0..3) {
                0 => Moment::Record(random.random_range(1..=reach.records.max(1) * 2)),
                1 => Moment::Barrier(random.random_range(1..=reach.records.max(1))),
                _ => Moment::Sink(random.random_range(1..=reach.taken.max(1) * 2)),
            };
            let parallelism = random.random_bool(0.5).then(|| random.random_range(parallelism.clone()));
            Crash { moment, parallelism }
        });
        let crashes = crashes.collect();
        let own = random.random_range(parallelism.clone());
        let seed = Some(random.random_range(0..1_000_000));
        Self { seed, parallelism: Some(own), checkpoint_every, crashes, ..Self::default() }
    }

    /// Cases that are a little shorter.
    pub(super) fn shorter(&self) -> Vec<Self> {
        let own = || Self { faults: RefCell::default(), ..self.clone() };
        let mut shorter = Vec::new();
        if self.seed.is_some() {
            shorter.push(Self { seed: None, ..own() });
        }
        if self.parallelism.is_some() {
            shorter.push(Self { parallelism: None, ..own() });
        }
        for (index, crash) in self.crashes.iter().enumerate() {
            let mut case = own();
            case.crashes.remove(index);
            shorter.push(case);
            let mut with = |crash: Crash| {
                let mut case = own();
                case.crashes[index] = crash;
                shorter.push(case);
            };
            if crash.parallelism.is_some() {
                with(Crash { parallelism: None, ..*crash });
            }
            smaller(crash.moment.number())
                .for_each(|number| with(Crash { moment: crash.moment.with(number), ..*crash }));
        }
        if let Some(every) = self.checkpoint_every {
            shorter.push(Self { checkpoint_every: None, ..own() });
            shorter.extend(smaller(every).map(|every| Self { checkpoint_every: Some(every), ..own() }));
        }
        shorter
    }

    /// The case as it is written in a test.
    pub(super) fn calls(&self) -> String {
        let seed = self.seed.map(|seed| format!("test.seed({seed});"));
        let parallelism = self.parallelism.map(|count| format!("test.set(\"job.parallelism\", {count});"));
        let checkpoints = self.checkpoint_every.map(|records| format!("test.checkpoint_every({records});"));
        let crashes = self.crashes.iter().map(|crash| format!("test.crash({crash});"));
        let calls = seed.into_iter().chain(parallelism).chain(checkpoints).chain(crashes);
        calls.collect::<Vec<_>>().join(" ")
    }

    #[cfg(test)]
    pub(super) fn pretend(&self, records: u64, taken: u64) {
        self.faults.replace(Some(Faults::having_seen(records, taken)));
    }
}

/// Smaller numbers than `number`, the smallest first.
fn smaller(number: u64) -> impl Iterator<Item = u64> {
    let tried = [1, number / 2, number.saturating_sub(1)].into_iter();
    tried.filter(move |smaller| (1..number).contains(smaller))
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.seed.map(|seed| format!("seed={seed}")));
        words.extend(self.parallelism.map(|count| format!("parallelism={count}")));
        words.extend(self.checkpoint_every.map(|records| format!("every={records}")));
        for crash in &self.crashes {
            let then = crash.parallelism.map(|count| format!(":{count}")).unwrap_or_default();
            words.push(format!("{}={}{then}", crash.moment.name(), crash.moment.number()));
        }
        f.write_str(&words.join(" "))
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut case = Self::default();
        for word in text.split_whitespace() {
            let unknown =
                || format!("`{word}` is no part of a case, such as `seed=1`, `every=5` or `record=7:2`");
            let (name, value) = word.split_once('=').ok_or_else(unknown)?;
            let (value, then) =
                value.split_once(':').map_or((value, None), |(value, then)| (value, Some(then)));
            let number: u64 = value.parse().map_err(|_| unknown())?;
            let parallelism = then.map(|then| then.parse().map_err(|_| unknown())).transpose()?;
            let moment = match name {
                "record" => Moment::Record(number),
                "barrier" => Moment::Barrier(number),
                "sink" => Moment::Sink(number),
                _ if parallelism.is_some() => return Err(unknown()),
                "seed" => {
                    case.seed = Some(number);
                    continue;
                }
                "parallelism" => {
                    case.parallelism = usize::try_from(number).ok();
                    continue;
                }
                "every" => {
                    case.checkpoint_every = Some(number);
                    continue;
                }
                _ => return Err(unknown()),
            };
            case.crashes.push(Crash { moment, parallelism });
        }
        Ok(case)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_is_printed() {
        let text = "seed=7 parallelism=3 every=2 record=5 sink=1:4 barrier=9";
        assert_eq!(text.parse::<Case>().expect("a case").to_string(), text);
        for wrong in ["seed", "record=x", "every=3:1", "crash=1"] {
            assert!(wrong.parse::<Case>().is_err(), "{wrong}");
        }
    }
}
