//! An end that is slow holds up the source, instead of filling memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use flare::Runner;
use flare::prelude::*;
use flare::source::{Intake, Meta, Progress, Source};

use crate::support::{Folder, run};

/// As many numbers as there is room for, at once.
struct Flood {
    read: Arc<AtomicU64>,
    end: u64,
}

#[flare::source::async_trait]
impl Source<u64> for Flood {
    async fn read(&mut self, intake: &mut Intake<u64>) -> Result<Progress> {
        tokio::task::yield_now().await;
        while !intake.is_full() {
            let number = self.read.fetch_add(1, Ordering::SeqCst);
            if number >= self.end {
                return Ok(Progress::End);
            }
            intake.batch.push(number, Meta::NONE);
        }
        Ok(Progress::More)
    }
}

const BATCH: u64 = 16;
const BUFFER: u64 = 2;
const CAPACITY: u64 = 4;

/// How far the source was ahead of the end at most.
async fn farthest(lookups: u64, order: &str) -> u64 {
    let (read, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicI64::new(0)));
    let ahead = Arc::new(AtomicU64::new(0));
    let (flood, seen) = (Arc::clone(&read), Arc::clone(&ahead));
    let runner = Runner::described("slow", move |job| {
        let source = Arc::clone(&flood);
        let numbers = job.source_with("flood", move |_| {
            let source = Flood { read: Arc::clone(&source), end: 600 };
            async move { Ok(source) }
        });
        let slow = |number: u64| async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok::<_, std::io::Error>(Some(number))
        };
        let mut slowed = numbers.parallelism(1);
        for number in 0..lookups {
            slowed = slowed.lookup_with(
                &format!("slow{number}"),
                |number| *number,
                slow,
                |number, _: &u64| number,
            )?;
        }
        slowed.for_each(move |_| {
            let done = done.fetch_add(1, Ordering::SeqCst) as u64;
            seen.fetch_max(flood.load(Ordering::SeqCst).saturating_sub(done), Ordering::SeqCst);
        });
        Ok(())
    });
    let folder = Folder::new();
    let mut runner = runner.config(folder.configure(""));
    for (key, value) in [("job.batch", BATCH), ("job.buffer", BUFFER), ("source.flood.batch", BATCH)] {
        runner = runner.set(key, value);
    }
    for number in 0..lookups {
        runner = runner.set(&format!("lookup.slow{number}.capacity"), CAPACITY);
        runner = runner.set(&format!("lookup.slow{number}.order"), order);
    }
    let summary = run(runner).await;
    assert_eq!(summary.records_in, 600);
    ahead.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_end_bounds_how_far_the_source_is_ahead() {
    for (lookups, order) in [(1, "ordered"), (1, "unordered"), (2, "ordered")] {
        let ahead = farthest(lookups, order).await;
        // A stage holds what its channel does, its capacity, the batch that is coming in, and the one going out; the
        // source one that it reads and one that goes out.
        let bound = lookups * (BUFFER * BATCH + CAPACITY + 2 * BATCH) + 2 * BATCH;
        assert!(ahead > CAPACITY, "{ahead} ahead: the source was never faster");
        assert!(
            ahead <= bound,
            "{ahead} ahead of a slow end, {lookups} lookups {order}; at most {bound} expected"
        );
    }
}
