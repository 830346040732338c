//! How much dirt a job bears.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};

/// How much dirt a job bears: a count and a ratio over a window; beyond it the job fails.
#[derive(Debug)]
pub struct DirtyBudget {
    count: Option<u64>,
    ratio: Option<f64>,
    window: Duration,
    spent: Mutex<Window>,
}

/// Slices of the window, oldest first: when each began, records read, records turned aside.
#[derive(Debug, Default)]
struct Window {
    slices: VecDeque<(Instant, u64, u64)>,
}

impl DirtyBudget {
    /// Before the end of input, a ratio is only judged once so many records were read in the window.
    const RATIO_SAMPLE: u64 = 100;
    const SLICES: u32 = 20;

    /// At most `count` dirty records and at most `ratio` (0 to 1) of the records read, over `window`; `None` is no
    /// limit.
    pub fn new(count: Option<u64>, ratio: Option<f64>, window: Duration) -> Self {
        Self { count, ratio, window, spent: Mutex::default() }
    }

    /// Counts records read.
    pub fn read(&self, records: u64) {
        if self.ratio.is_some() {
            self.add(records, 0);
        }
    }

    /// Counts a record turned aside.
    ///
    /// # Errors
    /// `DirtyBudget` when that is one too many.
    pub fn spend(&self) -> Result<()> {
        if self.count.is_none() && self.ratio.is_none() {
            return Ok(());
        }
        let (read, dirty) = self.add(0, 1);
        if self.count.is_some_and(|count| dirty > count) {
            return Err(self.exceeded("more dirty records than `dirty.budget_count` allows", dirty));
        }
        if read >= Self::RATIO_SAMPLE { self.judge_ratio(read, dirty) } else { Ok(()) }
    }

    /// Judges the ratio at the end of input, however few records were read.
    ///
    /// # Errors
    /// `DirtyBudget` when it is too high.
    pub fn end(&self) -> Result<()> {
        let (read, dirty) = self.add(0, 0);
        self.judge_ratio(read, dirty)
    }

    fn judge_ratio(&self, read: u64, dirty: u64) -> Result<()> {
        let ratio = dirty as f64 / read.max(1) as f64;
        if self.ratio.is_none_or(|allowed| ratio <= allowed) {
            return Ok(());
        }
        let message = "a higher part of dirty records than `dirty.budget_ratio` allows";
        Err(self.exceeded(message, dirty).with("read", read))
    }

    fn exceeded(&self, message: &'static str, dirty: u64) -> Error {
        let window = crate::model::format_duration(self.window);
        Error::new(ErrorKind::DirtyBudget, message).with("dirty", dirty).with("window", window)
    }

    fn add(&self, read: u64, dirty: u64) -> (u64, u64) {
        let now = Instant::now();
        let mut window = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let slices = &mut window.slices;
        while slices.front().is_some_and(|(began, ..)| now.duration_since(*began) > self.window) {
            slices.pop_front();
        }
        match slices.back_mut() {
            Some(last) if now.duration_since(last.0) < self.window / Self::SLICES => {
                last.1 += read;
                last.2 += dirty;
            }
            _ => slices.push_back((now, read, dirty)),
        }
        slices.iter().fold((0, 0), |sum, slice| (sum.0 + slice.1, sum.1 + slice.2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn forgets_dirt_older_than_the_window() {
        let budget = DirtyBudget::new(Some(2), None, Duration::from_secs(60));
        budget.spend().expect("one");
        budget.spend().expect("two");
        tokio::time::advance(Duration::from_secs(61)).await;
        budget.spend().expect("the first two are forgotten");
        budget.spend().expect("two again");
        let error = budget.spend().expect_err("three");
        assert_eq!(error.kind(), ErrorKind::DirtyBudget);
        assert_eq!(error.context("dirty"), Some("3"));
    }

    #[tokio::test(start_paused = true)]
    async fn judges_a_ratio_only_on_enough_records() {
        let budget = DirtyBudget::new(None, Some(0.1), Duration::from_secs(60));
        budget.read(10);
        for _ in 0..5 {
            budget.spend().expect("too few records to judge");
        }
        budget.read(90);
        for _ in 0..5 {
            budget.spend().expect("a tenth is allowed");
        }
        assert!(budget.spend().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn judges_a_ratio_at_the_end_however_few_the_records() {
        let budget = DirtyBudget::new(None, Some(0.5), Duration::from_secs(60));
        budget.read(4);
        budget.spend().expect("too few records to judge");
        budget.spend().expect("too few records to judge");
        budget.end().expect("half of them is allowed");
        budget.spend().expect("too few records to judge");
        assert_eq!(budget.end().expect_err("three of four").context("read"), Some("4"));
    }
}
