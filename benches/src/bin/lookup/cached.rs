//! Keys that are in the cache.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use flare::Runner;
use flare_benches::{Batches, Moment, Run, Stopwatch, Sum, Total, in_batches, stream};

use super::{Item, Row, join};

const KEYS: u64 = 10_000;

/// Every key comes about equally often, in no order.
fn items(records: usize) -> Vec<Vec<Item>> {
    in_batches(records, |number| Item {
        key: (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % KEYS,
        value: number,
    })
}

pub(crate) fn flare(records: usize) -> Result<Run> {
    let (total, watch) = (Total::default(), Stopwatch::default());
    let source = Batches::new(items(records), watch.clone());
    let mut sum = Sum::new(&total, &watch);
    let job = Runner::described("cached-lookup", move |job| {
        let fetch = |key| async move { Ok::<_, flare::Error>(Some(Row::of(key))) };
        let joined = stream(job, source).lookup_with("cached", |item: &Item| item.key, fetch, join)?;
        joined.for_each(move |value| sum.add(value));
        Ok(())
    });
    job.set("lookup.cached.cache.capacity", 10 * KEYS).run_blocking()?;
    Ok(Run { records: records as u64, checksum: total.get(), span: watch.span() })
}

pub(crate) fn reference(records: usize) -> Run {
    let batches = items(records);
    let started = Moment::now();
    let rows: HashMap<u64, Arc<Row>> = (0..KEYS).map(|key| (key, Arc::new(Row::of(key)))).collect();
    let mut sum = 0_u64;
    for item in batches.into_iter().flatten() {
        if let Some(row) = rows.get(&item.key) {
            sum = sum.wrapping_add(join(item, row));
        }
    }
    Run { records: records as u64, checksum: sum, span: started.elapsed() }
}
