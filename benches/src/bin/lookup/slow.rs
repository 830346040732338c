//! Keys that never repeat against a source that takes its time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use flare::Runner;
use flare_benches::{Batches, Moment, Run, Stopwatch, Sum, Total, in_batches, stream};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::service::Service;
use super::{Item, Row, join};

fn items(records: usize) -> Vec<Vec<Item>> {
    in_batches(records, |number| Item { key: number, value: !number })
}

async fn fetch(service: Arc<Service>, key: u64) -> Option<Row> {
    service.call().await;
    Some(Row::of(key))
}

/// The time that one call takes when nothing else is under way.
pub(crate) fn latency(service: &Arc<Service>) -> Result<Duration> {
    const CALLS: u32 = 300;
    let started = Instant::now();
    runtime()?.block_on(async {
        for _ in 0..CALLS {
            service.call().await;
        }
    });
    Ok(started.elapsed() / CALLS)
}

pub(crate) fn flare(service: &Arc<Service>, capacity: usize, records: usize) -> Result<Run> {
    let (total, watch) = (Total::default(), Stopwatch::default());
    let source = Batches::new(items(records), watch.clone());
    let (service, mut sum) = (Arc::clone(service), Sum::new(&total, &watch));
    let job = Runner::described("slow-lookup", move |job| {
        let fetch = move |key| {
            let service = Arc::clone(&service);
            async move { Ok::<_, flare::Error>(fetch(service, key).await) }
        };
        let joined = stream(job, source).lookup_with("slow", |item: &Item| item.key, fetch, join)?;
        joined.for_each(move |value| sum.add(value));
        Ok(())
    });
    let job = job.set("lookup.slow.capacity", capacity).set("lookup.slow.cache.capacity", 0);
    job.set("lookup.slow.timeout", "10s").run_blocking()?;
    Ok(Run { records: records as u64, checksum: total.get(), span: watch.span() })
}

pub(crate) fn reference(service: &Arc<Service>, capacity: usize, records: usize) -> Result<Run> {
    let mut items = items(records).into_iter().flatten();
    let started = Moment::now();
    let checksum = runtime()?.block_on(async {
        let mut sum = 0_u64;
        let ask = |item: Item| {
            let fetched = fetch(Arc::clone(service), item.key);
            async move { (item, fetched.await) }
        };
        let mut calls: FuturesUnordered<_> = items.by_ref().take(capacity).map(ask).collect();
        while let Some((item, row)) = calls.next().await {
            sum = sum.wrapping_add(row.map_or(0, |row| join(item, &row)));
            calls.extend(items.next().map(ask));
        }
        sum
    });
    Ok(Run { records: records as u64, checksum, span: started.elapsed() })
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().build()?)
}
