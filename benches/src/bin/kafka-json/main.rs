//! JSON records of 200 bytes from one Kafka topic to another: parsed, filtered, written again.
//!
//! The reference is one thread with a bare consumer and a bare producer of the same client library under the same
//! settings, once with serde_json and once with sonic-rs. The broker is that of `FLARE_TEST_KAFKA`, `host:port`; the
//! input is written before the first run and left there.

mod by_hand;
mod event;
mod job;
mod topics;

use anyhow::Result;
use by_hand::{SerdeJson, SonicRs};
use clap::Parser;
use flare_benches::{Line, Options, Pair, compared, median, take_turns};
use topics::Topics;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Records in each run.
    #[arg(long, default_value_t = 5_000_000)]
    records: u64,
    /// Address of a broker, `host:port`.
    #[arg(long, env = "FLARE_TEST_KAFKA")]
    broker: String,
}

fn line(case: &str, pairs: &[Pair]) -> Line {
    let line = compared(Line::new("kafka-json", case), pairs);
    // Microseconds a record are seconds a million records.
    line.with("flare_cpu_s_per_million", median(pairs, |pair| pair.flare.cpu() * 1e6))
        .with("reference_cpu_s_per_million", median(pairs, |pair| pair.reference.cpu() * 1e6))
}

fn main() -> Result<()> {
    let Arguments { options, records, broker } = Arguments::parse();
    let topics = Topics::new(&broker, records)?;
    topics.load()?;
    let mut report = options.report();
    let pairs = take_turns(options.rounds, || job::run(&topics), || by_hand::run::<SerdeJson>(&topics))?;
    report.add(line("serde_json", &pairs));
    let pairs = take_turns(options.rounds, || job::run(&topics), || by_hand::run::<SonicRs>(&topics))?;
    report.add(line("sonic-rs", &pairs));
    report.finish()
}
