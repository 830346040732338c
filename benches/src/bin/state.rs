//! A count by key, beside a loop over one hash map with the same hash, written by hand.

use std::collections::HashMap;

use anyhow::Result;
use clap::Parser;
use flare::Runner;
use flare_benches::{
    Batches, Line, Moment, Options, Run, Stopwatch, Sum, Total, compared, in_batches, stream, take_turns,
};
use serde::{Deserialize, Serialize};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Records in each run.
    #[arg(long, default_value_t = 10_000_000)]
    records: usize,
    /// Numbers of keys to measure.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000, 1_000_000, 10_000_000])]
    keys: Vec<u64>,
    /// Numbers of subtasks to measure.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    parallelism: Vec<usize>,
    /// Backends to measure.
    #[arg(long, value_delimiter = ',', default_values = ["memory", "disk"])]
    backend: Vec<String>,
}

/// One job to measure.
#[derive(Clone, Debug)]
struct Case {
    records: usize,
    keys: u64,
    parallelism: usize,
    backend: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Event {
    key: u64,
    value: u64,
}

fn events(records: usize, keys: u64) -> Vec<Vec<Event>> {
    in_batches(records, |number| {
        // Multiplying by an odd constant spreads the numbers (Knuth's multiplicative hashing).
        let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        Event { key: spread % keys, value: number }
    })
}

fn flare(case: &Case) -> Result<Run> {
    let Case { records, keys, parallelism, backend } = case.clone();
    let (total, watch) = (Total::default(), Stopwatch::default());
    let source = Batches::new(events(records, keys), watch.clone());
    let mut sum = Sum::new(&total, &watch);
    let job = Runner::described("count", move |job| {
        let counts = stream(job, source).key_by(|event: &Event| event.key).count();
        counts.for_each(move |(key, count)| sum.add(key ^ count));
        Ok(())
    });
    job.set("job.parallelism", parallelism).set("state.backend", backend).run_blocking()?;
    Ok(Run { records: records as u64, checksum: total.get(), span: watch.span() })
}

fn by_hand(records: usize, keys: u64) -> Run {
    let batches = events(records, keys);
    let started = Moment::now();
    let mut counts: HashMap<u64, u64, ahash::RandomState> = HashMap::default();
    let mut sum = 0_u64;
    for event in batches.into_iter().flatten() {
        let count = counts.entry(event.key).or_default();
        *count += 1;
        sum = sum.wrapping_add(event.key ^ *count);
    }
    Run { records: records as u64, checksum: sum, span: started.elapsed() }
}

fn main() -> Result<()> {
    let Arguments { options, records, keys, parallelism, backend } = Arguments::parse();
    let mut report = options.report();
    for keys in keys {
        for (backend, parallelism) in
            backend.iter().flat_map(|backend| parallelism.iter().map(move |of| (backend, *of)))
        {
            let case = Case { records, keys, parallelism, backend: backend.clone() };
            let pairs = take_turns(options.rounds, || flare(&case), || Ok(by_hand(records, keys)))?;
            report.add(compared(Line::new("state", format!("{backend}-{keys}-x{parallelism}")), &pairs));
        }
    }
    report.finish()
}
