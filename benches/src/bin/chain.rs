//! Five maps and filters over 80-byte records, beside the same functions in one loop written by hand.
//!
//! - `ready-made`: all batches lie in memory before the clock starts; both sides take them over without a copy;
//! - `refilled`: both sides copy each batch from a template first, so that the records are in the processor's cache;
//! - `two-stages`: as `refilled`, but Flare sends what comes out to a second stage, over a channel.

use anyhow::Result;
use clap::{Parser, ValueEnum};
use flare::source::Source;
use flare::{Job, Runner};
use flare_benches::{
    BATCH, Batches, Line, Moment, Options, Refill, Run, Stopwatch, Sum, Total, compared, in_batches, stream,
    take_turns,
};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Records in each run.
    #[arg(long, default_value_t = 10_000_000)]
    records: usize,
    /// Measure this case only.
    #[arg(long, value_enum)]
    only: Option<Case>,
}

#[derive(Clone, Copy)]
struct Record {
    id: u64,
    user: u64,
    kind: u64,
    region: u64,
    quantity: u64,
    price: f64,
    discount: f64,
    paid_at: i64,
    rest: [u64; 2],
}

const _: () = assert!(size_of::<Record>() == 80);

impl Record {
    fn of(number: u64) -> Self {
        // Multiplying by an odd constant spreads the numbers (Knuth's multiplicative hashing).
        let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        Self {
            id: number,
            user: spread % 100_000,
            kind: spread % 10,
            region: spread % 50,
            quantity: 1 + spread % 9,
            price: (spread % 10_000) as f64 / 100.0,
            discount: (spread % 20) as f64 / 100.0,
            paid_at: 1_767_225_600_000 + number.cast_signed(),
            rest: [spread, number],
        }
    }
}

fn is_sold(record: &Record) -> bool {
    record.kind != 3
}

fn discounted(record: Record) -> Record {
    Record { price: record.price * (1.0 - record.discount), ..record }
}

fn is_worth_it(record: &Record) -> bool {
    record.price * record.quantity as f64 > 20.0
}

fn regional(record: Record) -> Record {
    Record { region: record.region % 7, user: record.user ^ record.rest[0], ..record }
}

fn day(record: Record) -> Record {
    Record { paid_at: record.paid_at - record.paid_at % 86_400_000, ..record }
}

fn digest(record: &Record) -> u64 {
    let Record { id, user, kind, region, quantity, price, discount, paid_at, rest } = record;
    let numbers = id ^ user.rotate_left(7) ^ kind ^ region.rotate_left(13) ^ quantity ^ rest[0] ^ rest[1];
    numbers ^ price.to_bits() ^ discount.to_bits() ^ paid_at.cast_unsigned()
}

/// What Flare's operators do, in the same order.
#[inline(always)]
fn process(record: Record) -> Option<u64> {
    Some(record)
        .filter(is_sold)
        .map(discounted)
        .filter(is_worth_it)
        .map(regional)
        .map(day)
        .map(|record| digest(&record))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    ReadyMade,
    Refilled,
    TwoStages,
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::ReadyMade => "ready-made",
            Self::Refilled => "refilled",
            Self::TwoStages => "two-stages",
        }
    }

    fn flare(self, records: usize) -> Result<Run> {
        let (total, watch) = (Total::default(), Stopwatch::default());
        let sum = Sum::new(&total, &watch);
        match self {
            Self::ReadyMade => run(self, Batches::new(in_batches(records, Record::of), watch.clone()), sum),
            Self::Refilled | Self::TwoStages => {
                run(self, Refill::new(template(), records / BATCH, watch.clone()), sum)
            }
        }?;
        Ok(Run { records: records as u64, checksum: total.get(), span: watch.span() })
    }

    fn reference(self, records: usize) -> Run {
        let (checksum, span) = match self {
            Self::ReadyMade => {
                let batches = in_batches(records, Record::of);
                let started = Moment::now();
                (loop_over(batches.into_iter()), started.elapsed())
            }
            Self::Refilled | Self::TwoStages => {
                let template = template();
                let started = Moment::now();
                let batches = (0..records / BATCH).map(|_| std::hint::black_box(&template).clone());
                (loop_over(batches), started.elapsed())
            }
        };
        Run { records: records as u64, checksum, span }
    }
}

fn template() -> Vec<Record> {
    (0..BATCH as u64).map(Record::of).collect()
}

fn loop_over(batches: impl Iterator<Item = Vec<Record>>) -> u64 {
    let mut sum = 0_u64;
    for batch in batches {
        for record in batch {
            if let Some(digest) = process(record) {
                sum = sum.wrapping_add(digest);
            }
        }
    }
    sum
}

fn run(case: Case, source: impl Source<Record> + 'static, sum: Sum) -> flare::Result<()> {
    let job = Runner::described("chain", move |job| {
        describe(job, case, source, sum);
        Ok(())
    });
    job.run_blocking().map(drop)
}

fn describe(job: &mut Job, case: Case, source: impl Source<Record> + 'static, mut sum: Sum) {
    let records = stream(job, source);
    let records = records.filter(is_sold).map(discounted).filter(is_worth_it).map(regional).map(day);
    let end = move |record| sum.add(digest(&record));
    if case == Case::TwoStages { records.boxed().for_each(end) } else { records.for_each(end) }
}

fn main() -> Result<()> {
    let Arguments { options, records, only } = Arguments::parse();
    let records = records.next_multiple_of(BATCH);
    let mut report = options.report();
    let wanted = |case: &&Case| only.is_none_or(|only| only == **case);
    for case in Case::value_variants().iter().filter(wanted) {
        let pairs = take_turns(options.rounds, || case.flare(records), || Ok(case.reference(records)))?;
        report.add(compared(Line::new("chain", case.name()), &pairs));
    }
    report.finish()
}
