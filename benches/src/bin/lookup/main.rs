//! Lookups: how many a source that takes a millisecond can be asked at a time, and how fast cached rows are joined.
//!
//! - `capacity-N`: keys that never repeat, no cache. The reference keeps N calls of the same source under way in a
//!   `FuturesUnordered`: N by the latency that the source has under this load. `of_limit` is what Flare reaches of
//!   that, or of half a million a second where the reference does more. `latency_us` is how long a call takes alone,
//!   `capacity_by_latency_mps` what would follow from it;
//! - `cached`: all keys are in the cache but for their first time; the reference looks them up in a `HashMap`.

mod cached;
mod service;
mod slow;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use flare_benches::{Line, Options, Pair, compared, median, take_turns};
use serde::Serialize;
use service::Service;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Records in each run against the cache.
    #[arg(long, default_value_t = 10_000_000)]
    records: usize,
    /// Capacities to measure.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000])]
    capacity: Vec<usize>,
    /// Leave the cache out, or the slow source.
    #[arg(long, value_enum)]
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Slow,
    Cached,
}

/// What goes through the lookups.
#[derive(Clone, Copy, Debug, Serialize)]
struct Item {
    key: u64,
    value: u64,
}

/// What is looked up.
#[derive(Clone, Copy, Debug)]
struct Row {
    factor: u64,
}

impl Row {
    fn of(key: u64) -> Self {
        Self { factor: key | 1 }
    }
}

fn join(item: Item, row: &Row) -> u64 {
    item.value.wrapping_mul(row.factor) ^ item.key
}

/// More records a second than this are not asked of one subtask.
const HIGHEST_MPS: f64 = 0.5;

fn measure_slow(options: &Options, capacity: usize) -> Result<Line> {
    let service = Service::start(Duration::from_millis(1));
    let latency = slow::latency(&service)?;
    let by_latency = capacity as f64 / latency.as_secs_f64() / 1e6;
    // About a second's worth.
    let records = (by_latency.min(HIGHEST_MPS) * 1e6) as usize;
    let flare = || slow::flare(&service, capacity, records);
    let pairs = take_turns(options.rounds, flare, || slow::reference(&service, capacity, records))?;
    let line = compared(Line::new("lookup", format!("capacity-{capacity}")), &pairs);
    let line = line.with("latency_us", latency.as_secs_f64() * 1e6);
    let line = line.with("capacity_by_latency_mps", by_latency);
    let of_limit = |pair: &Pair| pair.flare.rate() / pair.reference.rate().min(HIGHEST_MPS * 1e6);
    Ok(line.with("of_limit", median(&pairs, of_limit)))
}

fn measure_cached(options: &Options, records: usize) -> Result<Line> {
    let pairs = take_turns(options.rounds, || cached::flare(records), || Ok(cached::reference(records)))?;
    let line = compared(Line::new("lookup", "cached"), &pairs);
    Ok(line.with("flare_mps_a_core", median(&pairs, |pair| 1e-6 / pair.flare.cpu())))
}

fn main() -> Result<()> {
    let Arguments { options, records, capacity, only } = Arguments::parse();
    let mut report = options.report();
    if only != Some(Part::Cached) {
        for capacity in capacity {
            report.add(measure_slow(&options, capacity)?);
        }
    }
    if only != Some(Part::Slow) {
        report.add(measure_cached(&options, records)?);
    }
    report.finish()
}
