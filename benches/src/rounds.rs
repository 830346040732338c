//! Rounds: Flare and the reference one after the other, as often as asked for.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use crate::{Line, Report, Span};

/// Arguments of every benchmark.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Write the results to this file too, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Rounds of which the median is taken.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
}

impl Options {
    /// An empty report.
    pub fn report(&self) -> Report {
        Report::new(self.json.clone())
    }
}

/// One run of one side.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Records that it took in.
    pub records: u64,
    /// What it came to.
    pub checksum: u64,
    /// How long it took.
    pub span: Span,
}

impl Run {
    /// Records a second.
    pub fn rate(&self) -> f64 {
        self.records as f64 / self.span.wall.as_secs_f64().max(1e-9)
    }

    /// Seconds of processor time a record.
    pub fn cpu(&self) -> f64 {
        self.span.cpu.as_secs_f64() / self.records.max(1) as f64
    }
}

/// A round.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Flare's run.
    pub flare: Run,
    /// The reference's run.
    pub reference: Run,
}

/// Runs both sides `rounds` times, after one round that does not count; who begins changes from round to round.
///
/// # Errors
/// When a side fails, or the two come to different checksums.
pub fn take_turns(
    rounds: u32,
    mut flare: impl FnMut() -> Result<Run>,
    mut reference: impl FnMut() -> Result<Run>,
) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for round in 0..=rounds {
        let pair = if round % 2 == 0 {
            let first = flare()?;
            Pair { flare: first, reference: reference()? }
        } else {
            let first = reference()?;
            Pair { flare: flare()?, reference: first }
        };
        let (own, other) = (pair.flare.checksum, pair.reference.checksum);
        ensure!(own == other, "the checksums differ: {own:x} of Flare, {other:x} of the reference");
        if round > 0 {
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

/// The median of what `figure` says of each round.
pub fn median(pairs: &[Pair], figure: impl Fn(&Pair) -> f64) -> f64 {
    let mut figures: Vec<_> = pairs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Adds what every line says: millions of records a second by the clock, nanoseconds of processor time a record.
#[must_use]
pub fn compared(line: Line, pairs: &[Pair]) -> Line {
    let ratio = |pair: &Pair| pair.flare.rate() / pair.reference.rate();
    let ratios = || pairs.iter().map(ratio);
    line.with("flare_mps", median(pairs, |pair| pair.flare.rate() / 1e6))
        .with("reference_mps", median(pairs, |pair| pair.reference.rate() / 1e6))
        .with("ratio", median(pairs, ratio))
        .with("ratio_min", ratios().fold(f64::INFINITY, f64::min))
        .with("ratio_max", ratios().fold(0.0, f64::max))
        .with("flare_cpu_ns", median(pairs, |pair| pair.flare.cpu() * 1e9))
        .with("reference_cpu_ns", median(pairs, |pair| pair.reference.cpu() * 1e9))
        .with("cpu_ratio", median(pairs, |pair| pair.reference.cpu() / pair.flare.cpu()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn run(records: u64, checksum: u64) -> Run {
        let second = Duration::from_secs(1);
        Run { records, checksum, span: Span { wall: second, cpu: second } }
    }

    #[test]
    fn refuses_sides_that_disagree() {
        let outcome = take_turns(1, || Ok(run(1, 1)), || Ok(run(1, 2)));
        assert!(outcome.expect_err("they disagree").to_string().contains("checksums differ"));
    }

    #[test]
    fn takes_the_median_of_all_but_the_first_round() {
        let mut records = [1000, 5, 9, 7].into_iter();
        let pairs = take_turns(3, || Ok(run(records.next().expect("four"), 0)), || Ok(run(1, 0)));
        assert_eq!(median(&pairs.expect("they agree"), |pair| pair.flare.rate()), 7.0);
    }
}
