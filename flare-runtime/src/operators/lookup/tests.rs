//! The lookup operator as a whole, against scripted lookups and on a paused clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::api::{
    DirtyBudget, DirtyOutlet, Downstream, Edge, Fetched, HostLink, InputPort, Lookup, Metrics, Output,
    Report, StageContext, Subtask,
};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Barrier, Control, DirtyRecord, Message, OperatorId, Splits, SubtaskId};

const MS: Duration = Duration::from_millis(1);

/// What one request comes to: after a while, an answer; `None` is never.
type Answer = Option<(Duration, Result<Vec<Fetched<String>>>)>;

type Script = Box<dyn Fn(usize, &[u32]) -> Answer + Send + Sync>;

struct Scripted {
    script: Script,
    calls: Arc<Mutex<Vec<Vec<u32>>>>,
    running: Arc<AtomicUsize>,
    most_running: Arc<AtomicUsize>,
    max_batch: usize,
    concurrency: usize,
}

impl Scripted {
    fn new(
        concurrency: usize,
        max_batch: usize,
        script: impl Fn(usize, &[u32]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let (calls, running, most_running) = Default::default();
        Self { script: Box::new(script), calls, running, most_running, max_batch, concurrency }
    }
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Lookup<u32, String> for Scripted {
    async fn fetch(&self, keys: &[u32]) -> Result<Vec<Fetched<String>>> {
        let number = {
            let mut calls = self.calls.lock().expect("no panic");
            calls.push(keys.to_vec());
            calls.len()
        };
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(now, Ordering::SeqCst);
        let _running = Running(Arc::clone(&self.running));
        match (self.script)(number, keys) {
            Some((after, answer)) => {
                // Real clients wait several times for one answer.
                sleep(after / 2).await;
                sleep(after / 2).await;
                answer
            }
            None => std::future::pending().await,
        }
    }

    async fn load(&self) -> Result<Vec<(u32, String)>> {
        self.calls.lock().expect("no panic").push(Vec::new());
        Ok(vec![(1, "loaded".to_owned())])
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }
}

/// Every key has a row, after `after`.
fn rows(after: Duration) -> impl Fn(usize, &[u32]) -> Answer {
    move |_, keys| Some((after, Ok(keys.iter().map(|key| Fetched::Row(format!("row{key}"))).collect())))
}

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "away")
}

fn config() -> LookupConfig {
    let lookup = LookupSettings {
        capacity: 100,
        concurrency: None,
        batch: 10,
        order: Order::Ordered,
        timeout: 100 * MS,
        on_timeout: OnFailure::Dirty,
        on_error: OnFailure::Dirty,
        on_miss: OnFailure::Dirty,
        preload: false,
        refresh: 1000 * MS,
    };
    let cache = CacheSettings {
        capacity: 100,
        ttl: 10_000 * MS,
        miss_ttl: 1000 * MS,
        refresh_after: None,
        stale: Duration::ZERO,
    };
    let retry = LookupRetry { times: 3, backoff: 10 * MS, max_backoff: 10 * MS, on_miss: false };
    LookupConfig { lookup, cache, retry }
}

struct Rig {
    input: mpsc::Sender<Message<u32>>,
    output: mpsc::Receiver<Message<String>>,
    dirty: mpsc::Receiver<Message<DirtyRecord>>,
    reports: mpsc::Receiver<Report>,
    task: JoinHandle<Result<()>>,
    calls: Arc<Mutex<Vec<Vec<u32>>>>,
    most_running: Arc<AtomicUsize>,
}

fn outlet(metrics: &Metrics, sender: mpsc::Sender<Message<DirtyRecord>>) -> DirtyOutlet {
    DirtyOutlet {
        job: "test".into(),
        splits: Splits::default(),
        budget: Arc::new(DirtyBudget::new(None, None, 1000 * MS)),
        output: Some(Output::new(vec![Edge::Forward(sender)], 1, None)),
        metrics: metrics.clone(),
    }
}

/// A lookup of numbers that joins each with its row: `7=row7`.
fn rig(
    script: impl Fn(usize, &[u32]) -> Answer + Send + Sync + 'static,
    change: impl FnOnce(&mut LookupConfig),
) -> Rig {
    rig_with_batch(10, script, change)
}

fn rig_with_batch(
    max_batch: usize,
    script: impl Fn(usize, &[u32]) -> Answer + Send + Sync + 'static,
    change: impl FnOnce(&mut LookupConfig),
) -> Rig {
    rig_with_concurrency(2, max_batch, script, change)
}

fn rig_with_concurrency(
    concurrency: usize,
    max_batch: usize,
    script: impl Fn(usize, &[u32]) -> Answer + Send + Sync + 'static,
    change: impl FnOnce(&mut LookupConfig),
) -> Rig {
    let mut config = config();
    change(&mut config);
    let table = config.lookup.preload.then(|| Table::shared(1, config.lookup.refresh).remove(0));
    start(Scripted::new(concurrency, max_batch, script), config, table)
}

fn start(scripted: Scripted, config: LookupConfig, table: Option<Table<u32, String>>) -> Rig {
    let (calls, most_running) = (Arc::clone(&scripted.calls), Arc::clone(&scripted.most_running));
    let (input, input_end) = mpsc::channel(64);
    let (output_end, output) = mpsc::channel(64);
    let (dirty_end, dirty) = mpsc::channel(64);
    let (reports_end, reports) = mpsc::channel(64);
    let (commands_end, commands) = mpsc::channel(1);
    let subtask = SubtaskId { operator: OperatorId::from("lookup.test"), index: 0 };
    let cx = StageContext::new(subtask.clone(), [].into(), outlet(&Metrics::default(), dirty_end));
    let out = Output::new(vec![Edge::Forward(output_end)], 1, None);
    let lookup = LookupSubtask::new(LookupParts {
        name: "test".to_owned(),
        input: InputPort::new(vec![input_end]),
        lookup: Arc::new(scripted),
        cache: Cache::new(config.cache.clone()),
        table,
        config,
        parallelism: 1,
        key: Box::new(|item: &u32| item % 1000),
        join: Box::new(|item, row: &String| format!("{item}={row}")),
        default: Some(Arc::new("default".to_owned())),
        downstream: Downstream::new(Box::new(out), cx, Duration::ZERO),
    });
    let link = HostLink { subtask, commands, reports: reports_end };
    let task = tokio::spawn(async move {
        let _open = commands_end;
        Box::new(lookup).run(link).await
    });
    Rig { input, output, dirty, reports, task, calls, most_running }
}

impl Rig {
    async fn send(&self, items: impl IntoIterator<Item = u32>) {
        let items: Vec<u32> = items.into_iter().collect();
        self.input.send(Message::Batch(items.into())).await.expect("room");
    }

    async fn control(&self, control: Control) {
        self.input.send(Message::Control(control)).await.expect("room");
    }

    /// Everything that left within `time`: joined records, `!cause` for dirty ones, `|` for barriers.
    async fn after(&mut self, time: Duration) -> Vec<String> {
        sleep(time).await;
        let mut seen = Vec::new();
        while let Ok(message) = self.output.try_recv() {
            match message {
                Message::Batch(batch) => seen.extend(batch.items),
                Message::Control(Control::Barrier(_)) => seen.push("|".to_owned()),
                Message::Control(_) => {}
            }
        }
        while let Ok(message) = self.dirty.try_recv() {
            if let Message::Batch(batch) = message {
                seen.extend(batch.items.iter().map(|record| format!("!{} {}", record.raw, record.kind)));
            }
        }
        seen
    }

    fn calls(&self) -> Vec<Vec<u32>> {
        self.calls.lock().expect("no panic").clone()
    }
}

#[tokio::test(start_paused = true)]
async fn asks_once_for_all_who_wait_for_a_key() {
    let mut rig = rig(rows(10 * MS), |_| {});
    rig.send([1, 2, 1, 1001]).await;
    rig.send([2]).await;
    assert_eq!(rig.after(20 * MS).await, ["1=row1", "2=row2", "1=row1", "1001=row1", "2=row2"]);
    assert_eq!(rig.calls(), [[1, 2]]);
    rig.send([1]).await;
    assert_eq!(rig.after(MS).await, ["1=row1"]);
    assert_eq!(rig.calls().len(), 1, "the cache answers");
}

#[tokio::test(start_paused = true)]
async fn gathers_keys_while_all_requests_are_busy() {
    let mut rig = rig(rows(10 * MS), |config| config.lookup.batch = 2);
    for key in 0..7 {
        rig.send([key]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.after(50 * MS).await.len(), 7);
    assert!(rig.most_running.load(Ordering::SeqCst) <= 2);
    assert!(rig.calls().iter().all(|keys| keys.len() <= 2), "{:?}", rig.calls());
}

#[tokio::test(start_paused = true)]
async fn frees_its_slots_when_a_request_never_answers() {
    let mut rig = rig(|_, _| None, |config| config.lookup.capacity = 2);
    rig.send([1, 2, 3, 4]).await;
    rig.control(Control::Barrier(Barrier { id: 1 })).await;
    assert_eq!(rig.after(99 * MS).await, Vec::<String>::new());
    assert_eq!(rig.after(2 * MS).await, ["!1 timeout", "!2 timeout"]);
    assert_eq!(rig.after(110 * MS).await, ["|", "!3 timeout", "!4 timeout"]);
    assert!(rig.reports.try_recv().is_ok(), "the barrier is acknowledged");
}

#[tokio::test(start_paused = true)]
async fn takes_an_answer_that_comes_just_before_the_timeout() {
    let script = |number, keys: &[u32]| match number {
        1 => Some((85 * MS, Err(unavailable()))),
        _ => rows(4 * MS)(number, keys),
    };
    let mut rig = rig(script, |config| config.retry.backoff = 10 * MS);
    rig.send([1]).await;
    assert_eq!(rig.after(101 * MS).await, ["1=row1"]);
}

#[tokio::test(start_paused = true)]
async fn stops_trying_when_nobody_waits_any_more() {
    let mut rig = rig(|_, _| Some((30 * MS, Err(unavailable()))), |config| config.retry.times = 1000);
    rig.send([1]).await;
    assert_eq!(rig.after(150 * MS).await, ["!1 timeout"]);
    let calls = rig.calls().len();
    rig.after(5000 * MS).await;
    assert_eq!(rig.calls().len(), calls);
}

#[tokio::test(start_paused = true)]
async fn turns_a_record_aside_when_all_tries_failed() {
    let mut rig = rig(|_, _| Some((MS, Err(unavailable()))), |_| {});
    rig.send([1]).await;
    assert_eq!(rig.after(90 * MS).await, ["!1 unavailable"]);
    assert_eq!(rig.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn finds_the_one_key_that_spoils_a_request() {
    let script = |number, keys: &[u32]| match keys.contains(&2) {
        true => Some((MS, Err(Error::bad_record("out of range")))),
        false => rows(MS)(number, keys),
    };
    let mut rig = rig(script, |_| {});
    rig.send([1, 2, 3]).await;
    assert_eq!(rig.after(20 * MS).await, ["1=row1", "3=row3", "!2 bad_record"]);
    assert_eq!(rig.calls(), [vec![1, 2, 3], vec![1], vec![2], vec![3]]);
}

#[tokio::test(start_paused = true)]
async fn asks_again_for_what_it_is_unsure_of_with_a_new_timeout() {
    // Each request takes half of the time that a record may wait.
    let script = |number, keys: &[u32]| {
        let (_, answer) = rows(50 * MS)(number, keys)?;
        let unsure = |of: Fetched<String>| vec![Fetched::Row("row1".to_owned()), of.clone(), of];
        Some((50 * MS, if keys.len() == 3 { Ok(unsure(Fetched::Unmatched)) } else { answer }))
    };
    let mut alone = rig(script, |config| config.lookup.timeout = 110 * MS);
    alone.send([1, 2, 3]).await;
    assert_eq!(alone.after(109 * MS).await, ["1=row1", "2=row2", "3=row3"]);
    assert_eq!(alone.calls(), [vec![1, 2, 3], vec![2], vec![3]]);
    let script = |number, keys: &[u32]| match keys.len() {
        3 => Some((MS, Ok(vec![Fetched::Row("row1".to_owned()), Fetched::Hidden, Fetched::Hidden]))),
        _ => rows(MS)(number, keys),
    };
    let mut rest = rig(script, |_| {});
    rest.send([1, 2, 3]).await;
    assert_eq!(rest.after(10 * MS).await, ["1=row1", "2=row2", "3=row3"]);
    assert_eq!(rest.calls(), [vec![1, 2, 3], vec![2, 3]]);
}

#[tokio::test(start_paused = true)]
async fn remembers_misses_for_a_shorter_time() {
    let mut rig = rig(|_, keys| Some((MS, Ok(vec![Fetched::Missing; keys.len()]))), |_| {});
    rig.send([1]).await;
    rig.after(5 * MS).await;
    rig.send([1]).await;
    assert_eq!(rig.after(900 * MS).await, ["!1 bad_record"]);
    assert_eq!(rig.calls().len(), 1);
    rig.after(100 * MS).await;
    rig.send([1]).await;
    rig.after(5 * MS).await;
    assert_eq!(rig.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn asks_again_for_a_row_that_lags_behind() {
    let script = |number, keys: &[u32]| match number {
        1 | 2 => Some((MS, Ok(vec![Fetched::Missing; keys.len()]))),
        _ => rows(MS)(number, keys),
    };
    let mut rig = rig(script, |config| config.retry.on_miss = true);
    rig.send([1]).await;
    assert_eq!(rig.after(50 * MS).await, ["1=row1"]);
}

#[tokio::test(start_paused = true)]
async fn serves_an_ageing_row_while_it_is_loaded_anew() {
    let script = |number, _: &[u32]| Some((10 * MS, Ok(vec![Fetched::Row(format!("v{number}"))])));
    let mut rig = rig(script, |config| config.cache.refresh_after = Some(500 * MS));
    rig.send([1]).await;
    assert_eq!(rig.after(600 * MS).await, ["1=v1"]);
    rig.send([1, 1]).await;
    assert_eq!(rig.after(5 * MS).await, ["1=v1", "1=v1"]);
    rig.after(10 * MS).await;
    rig.send([1]).await;
    assert_eq!(rig.after(5 * MS).await, ["1=v2"]);
    assert_eq!(rig.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn pauses_when_an_ageing_row_cannot_be_loaded() {
    let script = |number, keys: &[u32]| match number {
        1 => rows(MS)(number, keys),
        _ => Some((MS, Err(unavailable()))),
    };
    let mut rig = rig(script, |config| {
        config.cache.refresh_after = Some(500 * MS);
        config.retry.backoff = 100 * MS;
        config.retry.max_backoff = 100 * MS;
    });
    rig.send([1]).await;
    rig.after(600 * MS).await;
    for _ in 0..200 {
        rig.send([1]).await;
        assert_eq!(rig.after(MS).await, ["1=row1"]);
    }
    assert!(rig.calls().len() < 8, "{}", rig.calls().len());
}

#[tokio::test(start_paused = true)]
async fn serves_a_stale_row_when_the_source_is_away() {
    let script = |number, keys: &[u32]| match number {
        1 => rows(MS)(number, keys),
        _ => Some((MS, Err(unavailable()))),
    };
    let stale = |config: &mut LookupConfig| {
        config.cache.ttl = 500 * MS;
        config.cache.stale = 1000 * MS;
    };
    let mut rig = rig(script, stale);
    rig.send([1]).await;
    rig.after(600 * MS).await;
    rig.send([1]).await;
    assert_eq!(rig.after(99 * MS).await, ["1=row1"]);
    rig.after(1000 * MS).await;
    rig.send([1]).await;
    assert_eq!(rig.after(99 * MS).await, ["!1 unavailable"]);
}

#[tokio::test(start_paused = true)]
async fn asks_nothing_once_the_table_is_loaded() {
    let mut rig = rig(|_, _| None, |config| config.lookup.preload = true);
    rig.send([1, 2]).await;
    assert_eq!(rig.after(10 * MS).await, ["1=loaded", "!2 bad_record"]);
    rig.after(1000 * MS).await;
    assert_eq!(rig.calls(), [vec![], vec![]] as [Vec<u32>; 2], "loaded and refreshed once");
}

#[tokio::test(start_paused = true)]
async fn refreshes_the_table_when_the_subtask_that_did_has_ended() {
    let mut config = config();
    config.lookup.preload = true;
    let mut tables = Table::shared(2, config.lookup.refresh);
    let mut first = tables.remove(0);
    let lookup: Arc<dyn Lookup<u32, String>> = Arc::new(Scripted::new(1, 1, |_, _| None));
    first.open(&lookup).await.expect("loads");
    let mut rig = start(Scripted::new(1, 1, |_, _| None), config, tables.pop());
    rig.send([1]).await;
    assert_eq!(rig.after(2500 * MS).await, ["1=loaded"]);
    assert_eq!(rig.calls().len(), 0, "the first subtask refreshes");
    drop(first);
    rig.after(2000 * MS).await;
    assert_eq!(rig.calls().len(), 2, "at once, for it is overdue, and one interval later");
}

#[tokio::test(start_paused = true)]
async fn does_with_a_missing_row_what_the_strategy_says() {
    let missing = |_: usize, keys: &[u32]| -> Answer { Some((MS, Ok(vec![Fetched::Missing; keys.len()]))) };
    let mut default = rig(missing, |config| config.lookup.on_miss = OnFailure::Default);
    default.send([1]).await;
    assert_eq!(default.after(5 * MS).await, ["1=default"]);
    let mut skip = rig(missing, |config| config.lookup.on_miss = OnFailure::Skip);
    skip.send([1]).await;
    assert_eq!(skip.after(5 * MS).await, Vec::<String>::new());
    let mut fail = rig(missing, |config| config.lookup.on_miss = OnFailure::Fail);
    fail.send([1]).await;
    fail.after(5 * MS).await;
    let error = fail.task.await.expect("no panic").expect_err("the job fails");
    assert!(error.report().contains("key=1"), "{}", error.report());
}

#[tokio::test(start_paused = true)]
async fn blames_no_lookup_for_a_slow_sink() {
    let mut rig = rig_with_batch(1, rows(10 * MS), |config| config.lookup.order = Order::Unordered);
    rig.send([0]).await;
    rig.after(20 * MS).await;
    rig.send([1, 2, 3, 4]).await;
    for _ in 0..100 {
        rig.input.try_send(Message::Batch(vec![0].into())).ok();
        tokio::task::yield_now().await;
    }
    // The way out is full for longer than the lookup's timeout.
    sleep(500 * MS).await;
    let mut seen = rig.after(MS).await;
    seen.extend(rig.after(50 * MS).await);
    seen.extend(rig.after(50 * MS).await);
    seen.retain(|record| record != "0=row0");
    seen.sort();
    assert_eq!(seen, ["1=row1", "2=row2", "3=row3", "4=row4"]);
}

#[tokio::test(start_paused = true)]
async fn loads_ageing_rows_anew_within_its_capacity() {
    let mut rig = rig_with_concurrency(usize::MAX, 1, rows(10 * MS), |config| {
        config.lookup.capacity = 4;
        config.cache.refresh_after = Some(500 * MS);
    });
    rig.send(0..40).await;
    assert_eq!(rig.after(400 * MS).await.len(), 40);
    rig.after(200 * MS).await;
    rig.send(0..40).await;
    assert_eq!(rig.after(5 * MS).await.len(), 40);
    rig.after(400 * MS).await;
    assert_eq!(rig.calls().len(), 80);
    assert!(rig.most_running.load(Ordering::SeqCst) <= 4, "{:?}", rig.most_running);
}

#[tokio::test(start_paused = true)]
async fn fails_the_job_when_user_code_panics() {
    let mut rig = rig(|_, keys| if keys == [7] { panic!("seven") } else { rows(MS)(1, keys) }, |_| {});
    rig.send([7]).await;
    rig.after(20 * MS).await;
    let error = rig.task.await.expect("caught").expect_err("the job fails");
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.report().contains("seven") && error.report().contains("key=7"), "{}", error.report());
}

#[tokio::test(start_paused = true)]
async fn ends_only_after_everything_inside_has_left() {
    let mut rig = rig_with_batch(1, rows(50 * MS), |config| config.lookup.order = Order::Unordered);
    rig.send([1, 2, 3, 4, 5]).await;
    rig.control(Control::End).await;
    let mut seen = rig.after(200 * MS).await;
    seen.sort();
    assert_eq!(
        seen,
        ["1=row1", "2=row2", "3=row3", "4=row4", "!5 timeout"]
            .map(str::to_owned)
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    rig.task.await.expect("no panic").expect("a clean end");
}
