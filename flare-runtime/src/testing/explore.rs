//! One test under many interleavings, checkpoints and crashes, and the shortest way to make it fail.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::case::Case;

/// Runs one test many times: each time its subtasks interleave in another order, and its job crashes at other moments.
///
/// ```
/// # use flare_runtime::testing::Exploration;
/// # use flare_runtime::{job::Job, error::Result};
/// # use flare_runtime::testing::FlareTest;
/// # fn describe(job: &mut Job) -> Result<()> {
/// #     job.values("numbers", vec![1, 2, 3]).key_by(|n| *n).count().for_each(|_| {});
/// #     Ok(())
/// # }
/// Exploration::of(20).parallelism(1..=1).run(|case| {
///     let mut test = FlareTest::described("counts", describe);
///     case.apply(&mut test);
///     assert_eq!(test.run().unwrap().summary.ending, "end of input");
/// });
/// ```
///
/// What is asserted must hold however the job runs: results by key, or in no order. A case that fails is made as short
/// as it can be and printed; the variable `FLARE_TEST_CASE` runs it alone.
#[derive(Clone, Debug)]
pub struct Exploration {
    cases: u64,
    seed: u64,
    parallelism: RangeInclusive<usize>,
}

/// What a case that failed has said.
type Failure = String;

impl Exploration {
    /// So many cases, of jobs with a parallelism of 1 to 4.
    pub fn of(cases: u64) -> Self {
        Self { cases, seed: 0, parallelism: 1..=4 }
    }

    /// The values of `job.parallelism`, also after a crash. Operators with a parallelism of their own keep it.
    #[must_use]
    pub fn parallelism(mut self, parallelism: RangeInclusive<usize>) -> Self {
        self.parallelism = parallelism;
        self
    }

    /// Other cases than those of the seed 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Runs `test` with each case, which it gives to its `FlareTest` by [`Case::apply`].
    ///
    /// # Panics
    /// When a case fails, with the shortest one that does; and when `test` applies no case.
    #[track_caller]
    pub fn run(self, test: impl Fn(&Case)) {
        if let Ok(text) = std::env::var("FLARE_TEST_CASE") {
            let case: Case = text.parse().unwrap_or_else(|error| panic!("FLARE_TEST_CASE: {error}"));
            return test(&case);
        }
        let plain = Case::default();
        test(&plain);
        let reach = plain.reach().expect("the test must call `case.apply(&mut test)` before it runs");
        let mut random = SmallRng::seed_from_u64(self.seed);
        for number in 1..=self.cases {
            let case = Case::random(&mut random, reach, &self.parallelism);
            let Some(failure) = fails(&test, &case) else { continue };
            let (case, failure) = shortest(&test, case, failure);
            panic!(
                "case {number} of {} fails; the shortest is\n    {}\nrun it alone by FLARE_TEST_CASE='{case}'\n{failure}",
                self.cases,
                case.calls(),
            );
        }
    }
}

/// Makes a failing case shorter as long as it fails.
fn shortest(test: &impl Fn(&Case), mut case: Case, mut failure: Failure) -> (Case, Failure) {
    let mut budget = 300;
    while budget > 0 {
        let mut tried = case.shorter().into_iter().take(budget);
        budget -= 1;
        let found = tried.find_map(|shorter| {
            budget = budget.saturating_sub(1);
            fails(test, &shorter).map(|failure| (shorter, failure))
        });
        match found {
            Some(shorter) => (case, failure) = shorter,
            None => break,
        }
    }
    (case, failure)
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What the test says with this case, if it fails.
fn fails(test: &impl Fn(&Case), case: &Case) -> Option<Failure> {
    listen();
    // A case may explore others.
    let was_quiet = QUIET.replace(true);
    let failed = catch_unwind(AssertUnwindSafe(|| test(case))).is_err();
    QUIET.set(was_quiet);
    failed.then(|| SAID.take())
}

/// Has panics of cases noted instead of printed: a failure is tried many times until it is short.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if QUIET.get() {
                SAID.replace(panic.to_string());
            } else {
                others(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_shortest_case() {
        let test = |case: &Case| {
            case.pretend(20, 20);
            let text = case.to_string();
            assert!(!text.contains("record="), "a crash at a record");
        };
        let failed = fails(&|_: &Case| Exploration::of(100).run(test), &Case::default())
            .expect("some case crashes at a record");
        assert!(failed.contains("FLARE_TEST_CASE='record=1'"), "{failed}");
        assert!(failed.contains("Crash::at_record(1)"), "{failed}");
    }
}
