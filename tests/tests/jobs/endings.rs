//! How jobs end: refused, failed, stopped, and with which error.

#![expect(clippy::disallowed_methods, reason = "user code that blocks is what is tested")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use flare::prelude::*;
use flare::source::{Intake, Meta, Progress, Source, async_trait};
use flare::{ErrorKind, Runner, Summary};

/// Fails as soon as `when` is true.
struct Failing {
    when: &'static AtomicBool,
}

#[async_trait]
impl Source<u64> for Failing {
    async fn read(&mut self, _intake: &mut Intake<u64>) -> Result<Progress> {
        while !self.when.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err(Error::new(ErrorKind::Failed, "the real cause"))
    }
}

static AT_ONCE: AtomicBool = AtomicBool::new(true);

/// Counts for ever and never waits.
struct Greedy;

#[async_trait]
impl Source<u64> for Greedy {
    async fn read(&mut self, intake: &mut Intake<u64>) -> Result<Progress> {
        while !intake.is_full() {
            intake.batch.push(1, Meta::NONE);
        }
        Ok(Progress::More)
    }
}

/// Runs `work` on a thread of its own; an error when that takes long.
fn in_time<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(Duration::from_secs(10)).expect("it ends in time")
}

fn report(run: Result<Summary>) -> String {
    run.map(|_| ()).expect_err("it fails").report()
}

#[test]
fn refuses_a_job_without_a_source() {
    for dirty in [false, true] {
        let run = in_time(move || {
            let describe = move |job: &mut Job| {
                if dirty {
                    job.dirty()?.for_each(|_| {});
                }
                Ok(())
            };
            report(Runner::described("empty", describe).run_blocking())
        });
        assert!(run.contains("[empty-job]"), "{run}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tells_the_cause_and_not_its_consequences() {
    for _ in 0..100 {
        let run = Runner::described("failing", |job| {
            let failing = job.source_with("failing", |_| async { Ok(Failing { when: &AT_ONCE }) }).shared();
            for _ in 0..4 {
                failing.stream().map(|number| number + 1).for_each(|_| {});
            }
            Ok(())
        });
        let report = report(run.run().await);
        assert!(report.contains("the real cause"), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn leaves_nothing_running_behind_a_failure() {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static DONE: AtomicBool = AtomicBool::new(false);
    let run = Runner::described("failing", |job| {
        job.source_with("failing", |_| async { Ok(Failing { when: &BEGUN }) }).for_each(|_| {});
        job.values("one", vec![1]).for_each(|_| {
            BEGUN.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(200));
            DONE.store(true, Ordering::SeqCst);
        });
        Ok(())
    });
    report(run.run().await);
    assert!(DONE.load(Ordering::SeqCst));
}

#[test]
fn ends_although_user_code_never_lets_go() {
    let run = in_time(|| {
        let run = Runner::described("stuck", |job| {
            job.source_with("failing", |_| async { Ok(Failing { when: &AT_ONCE }) }).for_each(|_| {});
            job.values("one", vec![1]).for_each(|_| std::thread::sleep(Duration::from_secs(60)));
            Ok(())
        });
        report(run.run_blocking())
    });
    assert!(run.contains("the real cause"), "{run}");
}

#[test]
fn stops_a_source_that_never_waits() {
    let summary = in_time(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let run = Runner::described("greedy", |job| {
            job.source_with("greedy", |_| async { Ok(Greedy) }).for_each(|_| {});
            Ok(())
        });
        let stop = async { tokio::time::sleep(Duration::from_millis(50)).await };
        runtime.block_on(run.run_until(stop)).expect("it stops")
    });
    assert_eq!(summary.ending, "stopped");
}

#[test]
fn heeds_a_parallelism_behind_an_exchange() {
    let run = Runner::described("parallel", |job| {
        let numbers = job.values("numbers", vec![1_u64]).rebalance().parallelism(4);
        numbers
            .lookup_with("same", |x| *x, |key| async move { Ok::<_, Error>(Some(key)) }, |x, _| x)?
            .for_each(|number: u64| {
                assert_eq!(number, 1);
            });
        Ok(())
    });
    let summary = run.run_blocking().expect("it ends");
    assert!(summary.operators.contains_key("relay-1"), "{:?}", summary.operators.keys());
}
