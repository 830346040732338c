//! The work as a job of Flare.

use anyhow::{Result, ensure};
use flare::{Runner, Summary};
use flare_benches::{Run, Stopwatch, Sum, Total};

use super::event::Event;
use super::topics::Topics;

pub(crate) fn run(topics: &Topics) -> Result<Run> {
    let output = topics.create_output()?;
    let (kept, watch) = (Total::default(), Stopwatch::default());
    let summary = run_job(topics, &output, Sum::new(&kept, &watch), watch.clone())?;
    watch.stop();
    topics.delete(&output)?;
    let dirty: u64 = summary.dirty.values().sum();
    ensure!(dirty == 0, "{dirty} records are dirty");
    Ok(Run { records: summary.records_in, checksum: kept.get(), span: watch.span() })
}

fn run_job(topics: &Topics, output: &str, mut ids: Sum, watch: Stopwatch) -> flare::Result<Summary> {
    let job = Runner::described("kafka-json", move |job| {
        let mut started = false;
        let events = job.source::<Event>()?;
        let kept = events.filter(move |event| {
            // The start of the clients is no part of the measurement.
            if !started {
                started = true;
                watch.start();
            }
            let kept = event.is_kept();
            if kept {
                ids.add(event.id);
            }
            kept
        });
        kept.sink::<Event>()
    });
    let job = job.set("cluster.kafka.brokers", &topics.broker);
    let job = job.set("source.Event.topic", &topics.input);
    job.set("sink.Event.topic", output).run_blocking()
}
