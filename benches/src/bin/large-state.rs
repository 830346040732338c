//! State larger than memory: a job that keeps a text for each of many keys, on disk. Every key comes once, and then
//! some of them again. Fails when the process took more memory than `--memory`.

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use clap::Parser;
use flare::Runner;
use flare::keyed::{Context, Declare, Process, ValueState};
use flare::source::{Intake, Progress, Source};
use flare_benches::{Line, Options, Stopwatch, Sum, Total, stream};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Number of keys.
    #[arg(long, default_value_t = 20_000_000)]
    keys: u64,
    /// Bytes of a text.
    #[arg(long, default_value_t = 100)]
    bytes: usize,
    /// Records of known keys, after every key has come once.
    #[arg(long, default_value_t = 5_000_000)]
    updates: u64,
    /// Most memory of the process, in MiB.
    #[arg(long, default_value_t = 1024)]
    memory: u64,
    /// Where states are kept: `memory` or `disk`.
    #[arg(long, default_value = "disk")]
    backend: String,
    /// Further settings, such as `state.write_buffer=128MiB`.
    #[arg(long)]
    set: Vec<String>,
}

/// Every key once, and then keys here and there.
struct Keys {
    next: u64,
    keys: u64,
    end: u64,
    watch: Stopwatch,
}

impl Keys {
    fn key(&self, number: u64) -> u64 {
        // A prime, larger than any number of keys: no key is left out, and neighbours are far from each other.
        (u128::from(number) * 1_000_000_000_039 % u128::from(self.keys)) as u64
    }
}

#[async_trait]
impl Source<u64> for Keys {
    async fn read(&mut self, intake: &mut Intake<u64>) -> flare::Result<Progress> {
        tokio::task::consume_budget().await;
        self.watch.start();
        while !intake.is_full() {
            if self.next >= self.end {
                return Ok(Progress::End);
            }
            intake.batch.items.push(self.key(self.next));
            self.next += 1;
        }
        Ok(Progress::More)
    }
}

/// Keeps a text for each key, and gives its length and how often it was changed.
#[derive(Clone)]
struct Texts {
    bytes: usize,
    text: ValueState<(u32, String)>,
}

impl Process<u64, u64> for Texts {
    type Out = u64;

    fn open(&mut self, states: &mut Declare<'_, u64>) -> flare::Result<()> {
        self.text = states.value("text")?;
        Ok(())
    }

    fn process(&mut self, key: &u64, cx: &mut Context<'_, u64, u64>) -> flare::Result<()> {
        let bytes = self.bytes;
        let seen = self.text.update(cx, |(seen, text)| {
            *seen += 1;
            if text.is_empty() {
                *text = format!("{key:0bytes$}");
            }
            u64::from(*seen) + text.len() as u64
        })?;
        cx.emit(seen);
        Ok(())
    }
}

/// The most memory that this process has had, in MiB.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("this needs Linux")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the kernel tells no peak")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024)
}

fn main() -> Result<()> {
    let Arguments { options, keys, bytes, updates, memory, backend, set } = Arguments::parse();
    let (total, watch) = (Total::default(), Stopwatch::default());
    let source = Keys { next: 0, keys, end: keys + updates, watch: watch.clone() };
    let mut sum = Sum::new(&total, &watch);
    let mut job = Runner::described("texts", move |job| {
        let texts = stream(job, source).key_by(|key: &u64| *key);
        let seen = texts.process(Texts { bytes, text: ValueState::default() });
        seen.for_each(move |seen| sum.add(seen));
        Ok(())
    });
    job = job.set("state.backend", &backend);
    for setting in &set {
        let (key, value) = setting.split_once('=').context("a setting is KEY=VALUE")?;
        job = job.set(key, value);
    }
    job.run_blocking()?;
    // Every record counts the length of a text, and the first or a later one of its key.
    let expected =
        (keys + updates) * bytes as u64 + keys + updates.min(keys) * 2 + updates.saturating_sub(keys) * 3;
    ensure!(total.get() == expected, "{} came out instead of {expected}", total.get());
    let rate = (keys + updates) as f64 / watch.span().wall.as_secs_f64() / 1e6;
    let peak = peak()?;
    let mut report = options.report();
    let line = Line::new("large-state", format!("{backend}-{keys}x{bytes}"));
    report.add(line.with("million_per_second", rate).with("peak_mib", peak as f64));
    report.finish()?;
    ensure!(peak <= memory, "the process took {peak} MiB, more than {memory}");
    Ok(())
}
