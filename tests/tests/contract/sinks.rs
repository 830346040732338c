//! What every sink promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use flare::prelude::*;
use flare::source::{Intake, Meta, Progress, Source};
use flare::{Runner, Summary};

use crate::place::{Kind, LABEL, Stored, Target, at_every_place};
use crate::support::{run, run_while, until};

/// Turns of every key in order; each subtask has keys of its own. Without `turns` it never ends.
struct Turns {
    keys: Vec<i64>,
    next: i64,
    turns: Option<i64>,
}

#[flare::source::async_trait]
impl Source<Stored> for Turns {
    async fn read(&mut self, intake: &mut Intake<Stored>) -> Result<Progress> {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        if Some(self.next) == self.turns {
            return Ok(Progress::End);
        }
        for key in &self.keys {
            intake.batch.push(Stored::new(*key, self.next), Meta::NONE);
        }
        self.next += 1;
        Ok(Progress::More)
    }
}

/// A job that writes turns of `keys` keys.
fn turns(keys: i64, turns: Option<i64>) -> Runner {
    Runner::described("writes", move |job| {
        let records = job.source_with("turns", move |cx| {
            let own = |key: &i64| *key as usize % cx.parallelism == cx.index;
            let source = Turns { keys: (0..keys).filter(own).collect(), next: 0, turns };
            async move { Ok(source) }
        });
        records.sink::<Stored>()
    })
}

/// Writes these records in one batch, if it may be as large.
async fn write(target: &Target, records: Vec<Stored>) -> Summary {
    let runner = Runner::described("writes", move |job| job.values("records", records).sink::<Stored>());
    run(runner.config(target.configure("batch = 1000\nflush = \"1h\""))).await
}

async fn holds_everything_at_the_end(kind: Kind) {
    let Some(target) = Target::prepare(kind, "everything").await else { return };
    let config = target.configure("batch = 64");
    let summary = run(turns(100, Some(30)).config(config).set("job.parallelism", 2)).await;
    assert_eq!((summary.records_in, summary.records_out), (3000, 3000));
    assert_eq!(target.folder().dirty(), []);
    let latest = target.latest().await;
    assert_eq!(
        latest.into_values().collect::<Vec<_>>(),
        (0..100).map(|key| Stored::new(key, 29)).collect::<Vec<_>>()
    );
    let content = target.content().await;
    if target.kind.capability().replaces {
        assert_eq!(content.len(), 100);
        return;
    }
    for key in 0..100 {
        let of_key: Vec<_> =
            content.iter().filter(|stored| stored.id == key).map(|stored| stored.turn).collect();
        assert_eq!(of_key, (0..30).collect::<Vec<_>>(), "key {key}");
    }
}

async fn holds_what_came_before_a_checkpoint(kind: Kind) {
    let Some(target) = Target::prepare(kind, "checkpoint").await else { return };
    let config = target.configure("batch = 1000000\nflush = \"1h\"");
    let runner = turns(10, None).config(config).set("job.checkpoint", "100ms").set("job.parallelism", 2);
    let last_seen = Arc::new(AtomicI64::new(0));
    let (target, seen) = (Arc::new(target), Arc::clone(&last_seen));
    let outside = Arc::clone(&target);
    let watch = async move {
        until("rows of the first checkpoint", async || outside.latest().await.len() == 10).await;
        let first = outside.latest().await[&3].turn;
        until("rows of a further one", async || outside.latest().await[&3].turn > first).await;
        seen.store(outside.latest().await[&3].turn, Ordering::Relaxed);
    };
    let summary = run_while(runner, watch).await;
    assert_eq!(summary.ending, "stopped");
    assert!(summary.checkpoints >= 2, "{}", summary.text());
    assert_eq!(summary.records_out, summary.records_in);
    assert!(target.latest().await[&3].turn >= last_seen.load(Ordering::Relaxed));
}

async fn holds_the_same_after_a_second_run(kind: Kind) {
    let Some(target) = Target::prepare(kind, "again").await else { return };
    let config = target.configure("");
    run(turns(50, Some(2)).config(&config)).await;
    let once = target.content().await;
    run(turns(50, Some(2)).config(&config)).await;
    assert_eq!(target.latest().await.len(), 50);
    let expected = if kind.capability().replaces { once.len() } else { 2 * once.len() };
    assert_eq!(target.content().await.len(), expected);
}

async fn keeps_the_last_of_a_key(kind: Kind) {
    let Some(target) = Target::prepare(kind, "last").await else { return };
    let records = [(1, 0), (2, 0), (1, 1), (3, 0), (1, 2), (2, 1)];
    write(&target, records.map(|(id, turn)| Stored::new(id, turn)).to_vec()).await;
    let latest = target.latest().await.into_values().map(|stored| (stored.id, stored.turn));
    assert_eq!(latest.collect::<Vec<_>>(), [(1, 2), (2, 1), (3, 0)]);
}

async fn takes_every_text(kind: Kind) {
    let Some(target) = Target::prepare(kind, "texts").await else { return };
    let texts =
        ["", " ", "'; --", "\\", "a\"b", "两个字", "😀", "line\nbreak", "tab\t", "\u{7f}", "%s ? :id $1"];
    let records = texts.iter().enumerate().map(|(id, text)| {
        let label = Some((*text).to_owned());
        Stored { id: id as i64, turn: 0, label }
    });
    let records: Vec<_> = records.collect();
    let summary = write(&target, records.clone()).await;
    assert_eq!(summary.dirty.values().sum::<u64>(), 0, "{:?}", target.folder().dirty());
    assert_eq!(target.latest().await.into_values().collect::<Vec<_>>(), records);
}

async fn turns_aside_only_what_is_refused(kind: Kind) {
    if !kind.capability().refuses {
        return;
    }
    let Some(target) = Target::prepare(kind, "refused").await else { return };
    let mut records: Vec<_> = (0..300).map(|id| Stored::new(id, 0)).collect();
    let too_long = if kind.capability().replaces { LABEL + 1 } else { 3000 };
    records[7].label = Some("x".repeat(too_long));
    records[8].label = Some("y".repeat(too_long));
    records[299].label = Some("z".repeat(too_long));
    let mut refused = vec![7, 8, 299];
    if kind.capability().replaces {
        records[150].label = None;
        refused.push(150);
    }
    refused.sort_unstable();
    let summary = write(&target, records.clone()).await;
    let dirty = target.folder().dirty();
    let mut ids: Vec<_> = dirty
        .iter()
        .map(|dirty| serde_json::from_str::<Stored>(&dirty.raw).unwrap_or_else(|_| panic!("{dirty:?}")).id)
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, refused);
    for record in &dirty {
        assert_eq!((record.stage.as_str(), record.kind.as_str()), ("write", "bad_record"), "{record:?}");
        assert_eq!(record.operator, "sink.stored");
        assert!(!record.causes.is_empty(), "{record:?}");
    }
    let good: Vec<_> = records.into_iter().filter(|stored| !refused.contains(&stored.id)).collect();
    assert_eq!(target.latest().await.into_values().collect::<Vec<_>>(), good);
    assert_eq!((summary.records_in, summary.records_out), (300, 300 - refused.len() as u64));
}

/// Of a key whose last record is refused, the one before stays.
async fn refuses_a_record_and_not_its_key(kind: Kind) {
    if !kind.capability().refuses {
        return;
    }
    let Some(target) = Target::prepare(kind, "refused_key").await else { return };
    let mut bad = Stored::new(1, 1);
    bad.label = Some("x".repeat(3000));
    let records = vec![Stored::new(1, 0), bad, Stored::new(2, 0)];
    write(&target, records).await;
    let latest = target.latest().await.into_values().map(|stored| (stored.id, stored.turn));
    assert_eq!(latest.collect::<Vec<_>>(), [(1, 0), (2, 0)]);
    assert_eq!(target.folder().dirty().len(), 1);
}

at_every_place!(databases: holds_everything_at_the_end holds_what_came_before_a_checkpoint holds_the_same_after_a_second_run keeps_the_last_of_a_key takes_every_text turns_aside_only_what_is_refused refuses_a_record_and_not_its_key);
at_every_place!(logs: holds_everything_at_the_end holds_what_came_before_a_checkpoint holds_the_same_after_a_second_run keeps_the_last_of_a_key takes_every_text turns_aside_only_what_is_refused refuses_a_record_and_not_its_key);
