//! Sums by key in windows of event time, beside loops written by hand: tumbling, sliding over 60 panes, sessions.
//!
//! The loops get the records in order and use that: they keep one map for each pane, and end a session when its next
//! record shows that it is over.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use clap::{Parser, ValueEnum};
use flare::keyed::Sum as Total;
use flare::source::{Control, Intake, Meta, Progress, Source};
use flare::{Runner, Timestamp, Windows};
use flare_benches::{
    BATCH, Line, Moment, Options, Run, Stopwatch, Sum, Total as Checksum, compared, in_batches, stream,
    take_turns,
};
use serde::{Deserialize, Serialize};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Records in each run.
    #[arg(long, default_value_t = 5_000_000)]
    records: usize,
    /// Keys.
    #[arg(long, default_value_t = 100_000)]
    keys: u64,
    /// Measure this case only.
    #[arg(long, value_enum)]
    only: Option<Case>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    Tumbling,
    Sliding,
    Session,
}

/// Records of a millisecond of event time.
const DENSITY: u64 = 200;
const TUMBLING: i64 = 5_000;
const SLIDE: i64 = 500;
const PANES: i64 = 60;
const GAP: i64 = 400;

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Event {
    key: u64,
    value: u64,
    at: i64,
}

fn events(records: usize, keys: u64) -> Vec<Vec<Event>> {
    in_batches(records, |number| {
        // Multiplying by an odd constant spreads the numbers (Knuth's multiplicative hashing).
        let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        Event { key: spread % keys, value: number % 1000, at: (number / DENSITY).cast_signed() }
    })
}

/// Hands over batches with their event times, and the watermark behind each.
struct Timed {
    batches: std::vec::IntoIter<Vec<Event>>,
    watch: Stopwatch,
}

#[async_trait]
impl Source<Event> for Timed {
    async fn read(&mut self, intake: &mut Intake<Event>) -> flare::Result<Progress> {
        tokio::task::consume_budget().await;
        self.watch.start();
        let Some(batch) = self.batches.next() else { return Ok(Progress::End) };
        intake.time = batch.last().map(|last| Control::Watermark(Timestamp::from_millis(last.at - 1)));
        intake.batch.metas.clear();
        let meta = |event: &Event| Meta { timestamp: Timestamp::from_millis(event.at), ..Meta::NONE };
        intake.batch.metas.extend(batch.iter().map(meta));
        intake.batch.items = batch;
        Ok(Progress::More)
    }
}

fn flare(case: Case, records: usize, keys: u64) -> Result<Run> {
    let (total, watch) = (Checksum::default(), Stopwatch::default());
    let source = Timed { batches: events(records, keys).into_iter(), watch: watch.clone() };
    let mut sum = Sum::new(&total, &watch);
    let ms = |millis: i64| Duration::from_millis(millis.unsigned_abs());
    let windows = match case {
        Case::Tumbling => Windows::tumbling(ms(TUMBLING)),
        Case::Sliding => Windows::sliding(ms(SLIDE * PANES), ms(SLIDE)),
        Case::Session => Windows::session(ms(GAP)),
    };
    let job = Runner::described("windows", move |job| {
        let keyed = stream(job, source).key_by(|event: &Event| event.key).window(windows);
        let sums = keyed.aggregate(Total(|event: &Event| event.value), |key, _, sum| key ^ sum);
        sums.for_each(move |value| sum.add(value));
        Ok(())
    });
    job.run_blocking()?;
    Ok(Run { records: records as u64, checksum: total.get(), span: watch.span() })
}

type Sums = HashMap<u64, u64, ahash::RandomState>;

fn by_hand(case: Case, records: usize, keys: u64) -> Run {
    let batches = events(records, keys);
    let started = Moment::now();
    let checksum = match case {
        Case::Tumbling => in_panes(batches, TUMBLING, 1),
        Case::Sliding => in_panes(batches, SLIDE, PANES),
        Case::Session => in_sessions(batches),
    };
    Run { records: records as u64, checksum, span: started.elapsed() }
}

fn given(total: &mut u64, key: u64, sum: u64) {
    *total = total.wrapping_add(key ^ sum);
}

/// Windows of `panes` panes: each ended pane gives the window that ends with it.
fn in_panes(batches: Vec<Vec<Event>>, length: i64, panes: i64) -> u64 {
    let (mut total, mut end) = (0, length);
    let mut window: VecDeque<Sums> = VecDeque::from([Sums::default()]);
    let mut close = |window: &mut VecDeque<Sums>| {
        give(window, &mut total);
        if window.len() as i64 == panes {
            window.pop_front();
        }
        window.push_back(Sums::default());
    };
    for event in batches.into_iter().flatten() {
        while event.at >= end {
            close(&mut window);
            end += length;
        }
        let pane = window.back_mut().expect("one is open");
        *pane.entry(event.key).or_default() += event.value;
    }
    for _ in 0..panes {
        close(&mut window);
    }
    total
}

fn give(window: &VecDeque<Sums>, total: &mut u64) {
    if let (Some(only), 1) = (window.front(), window.len()) {
        only.iter().for_each(|(key, sum)| given(total, *key, *sum));
        return;
    }
    let mut merged = Sums::default();
    for (key, sum) in window.iter().flatten() {
        *merged.entry(*key).or_default() += sum;
    }
    merged.iter().for_each(|(key, sum)| given(total, *key, *sum));
}

fn in_sessions(batches: Vec<Vec<Event>>) -> u64 {
    let mut total = 0;
    let mut open: HashMap<u64, (i64, u64), ahash::RandomState> = HashMap::default();
    for event in batches.into_iter().flatten() {
        let (last, sum) = open.entry(event.key).or_insert((event.at, 0));
        if event.at > *last + GAP {
            given(&mut total, event.key, *sum);
            *sum = 0;
        }
        *last = event.at;
        *sum += event.value;
    }
    open.iter().for_each(|(key, (_, sum))| given(&mut total, *key, *sum));
    total
}

fn main() -> Result<()> {
    let Arguments { options, records, keys, only } = Arguments::parse();
    let records = records.next_multiple_of(BATCH);
    let mut report = options.report();
    let wanted = |case: &&Case| only.is_none_or(|only| only == **case);
    for case in Case::value_variants().iter().filter(wanted) {
        let pairs =
            take_turns(options.rounds, || flare(*case, records, keys), || Ok(by_hand(*case, records, keys)))?;
        report.add(compared(Line::new("windows", format!("{case:?}").to_lowercase()), &pairs));
    }
    report.finish()
}
