//! What every source promises.

use std::sync::{Arc, Mutex};

use flare::prelude::*;
use flare::{Runner, Summary};

use crate::place::{Kind, at_every_place};
use crate::support::{Folder, run};

/// What every source gives.
#[files(path = "readings", name = "readings")]
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Reading {
    n: u32,
}

/// A place to read from, of two splits.
enum Origin {
    Files(Folder),
    #[cfg(feature = "kafka")]
    Topic(Folder, crate::topic::Topic),
}

impl Origin {
    async fn prepare(kind: Kind) -> Option<Self> {
        let folder = Folder::new();
        Some(match kind {
            Kind::Files => {
                std::fs::create_dir(folder.path("readings")).unwrap();
                Self::Files(folder)
            }
            #[cfg(feature = "kafka")]
            Kind::Kafka => Self::Topic(folder, crate::topic::Topic::new(2, &[]).await?),
            _ => unreachable!("{kind:?} is no source"),
        })
    }

    fn folder(&self) -> &Folder {
        match self {
            Self::Files(folder) => folder,
            #[cfg(feature = "kafka")]
            Self::Topic(folder, _) => folder,
        }
    }

    fn configure(&self) -> std::path::PathBuf {
        let sections = match self {
            Self::Files(_) => String::new(),
            #[cfg(feature = "kafka")]
            Self::Topic(_, topic) => format!(
                "{}[source.readings]\nconnector = \"kafka\"\ntopic = \"{}\"\ngroup = \"{}\"\nend = \"latest\"\n",
                topic.cluster(),
                topic.name,
                topic.name
            ),
        };
        self.folder().configure(&sections)
    }

    /// The place and number by which the record `index` of a split is known.
    fn origin(&self, split: usize, index: usize) -> (String, i64) {
        let index = index as i64;
        match self {
            Self::Files(folder) => (folder.path(&split_file(split)).display().to_string(), index + 1),
            #[cfg(feature = "kafka")]
            Self::Topic(_, topic) => (format!("{}/{split}", topic.name), index),
        }
    }

    /// Adds payloads to a split.
    async fn fill(&self, split: usize, payloads: Vec<Vec<u8>>) {
        match self {
            Self::Files(folder) => {
                let before = std::fs::read(folder.path(&split_file(split))).unwrap_or_default();
                let lines = payloads.into_iter().map(|payload| [payload, vec![b'\n']].concat());
                folder.write(&split_file(split), [before, lines.flatten().collect()].concat());
            }
            #[cfg(feature = "kafka")]
            Self::Topic(_, topic) => topic.fill(split as i32, payloads).await,
        }
    }

    /// Runs a job over it and gives what was read.
    async fn read(&self, settings: &[(&str, &str)]) -> (Summary, Vec<u32>) {
        let read = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&read);
        let mut runner = Runner::described("reads", move |job| {
            let readings = job.source::<Reading>()?;
            readings.for_each(move |reading| seen.lock().unwrap().push(reading.n));
            Ok(())
        });
        runner = runner.config(self.configure());
        for (key, value) in settings {
            runner = runner.set(key, value);
        }
        let summary = run(runner).await;
        let read = std::mem::take(&mut *read.lock().unwrap());
        (summary, read)
    }
}

fn split_file(split: usize) -> String {
    format!("readings/{split}.jsonl")
}

fn payloads(numbers: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    numbers.map(|n| format!("{{\"n\":{n}}}").into_bytes()).collect()
}

fn sorted(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.sort_unstable();
    numbers
}

async fn reads_every_record_once(kind: Kind) {
    for parallelism in ["1", "2", "3"] {
        let Some(origin) = Origin::prepare(kind).await else { return };
        origin.fill(0, payloads(0..3000)).await;
        origin.fill(1, payloads(3000..5000)).await;
        let (summary, read) = origin.read(&[("job.parallelism", parallelism)]).await;
        assert_eq!(sorted(read), (0..5000).collect::<Vec<_>>(), "parallelism {parallelism}");
        assert_eq!((summary.records_in, summary.ending.as_str()), (5000, "end of input"));
    }
}

async fn keeps_the_order_of_a_split(kind: Kind) {
    let Some(origin) = Origin::prepare(kind).await else { return };
    origin.fill(0, payloads(0..3000)).await;
    let (_, read) = origin.read(&[("source.readings.batch", "7")]).await;
    assert_eq!(read, (0..3000).collect::<Vec<_>>());
}

async fn turns_malformed_payloads_aside_with_their_place(kind: Kind) {
    let Some(origin) = Origin::prepare(kind).await else { return };
    let mut first = payloads(0..100);
    first[17] = b"{\"n\":".to_vec();
    first[99] = b"{\"n\":\"seven\"}".to_vec();
    let mut second = payloads(100..200);
    second[0] = vec![b'{', 0xff, 0xfe, b'}'];
    origin.fill(0, first).await;
    origin.fill(1, second).await;
    let (summary, read) = origin.read(&[("job.parallelism", "2")]).await;
    let good: Vec<_> = (0..200).filter(|n| ![17, 99, 100].contains(n)).collect();
    assert_eq!(sorted(read), good);
    assert_eq!(summary.records_in, 200);
    let dirty = origin.folder().dirty();
    let mut seen: Vec<_> = dirty.iter().map(|dirty| (dirty.split.clone(), dirty.offset)).collect();
    seen.sort();
    assert_eq!(seen, [origin.origin(0, 17), origin.origin(0, 99), origin.origin(1, 0)]);
    for record in &dirty {
        assert_eq!((record.stage.as_str(), record.kind.as_str()), ("parse", "bad_record"), "{record:?}");
        assert_eq!((record.operator.as_str(), record.attempt), ("source.readings", 1), "{record:?}");
        assert!(!record.causes.is_empty(), "{record:?}");
    }
    let raw = |offset: (String, i64)| {
        let record = dirty.iter().find(|dirty| (dirty.split.clone(), dirty.offset) == offset).unwrap();
        (record.raw.as_str(), record.raw_base64)
    };
    assert_eq!(raw(origin.origin(0, 17)), ("{\"n\":", false));
    assert_eq!(raw(origin.origin(0, 99)), ("{\"n\":\"seven\"}", false));
    assert_eq!(raw(origin.origin(1, 0)), ("e//+fQ==", true));
}

async fn ends_on_nothing_at_all(kind: Kind) {
    let Some(origin) = Origin::prepare(kind).await else { return };
    let (summary, read) = origin.read(&[("job.parallelism", "2")]).await;
    assert_eq!((read.len(), summary.ending.as_str()), (0, "end of input"));
}

async fn continues_as_it_is_told(kind: Kind) {
    let Some(origin) = Origin::prepare(kind).await else { return };
    origin.fill(0, payloads(0..50)).await;
    assert_eq!(origin.read(&[]).await.1.len(), 50);
    let again = origin.read(&[]).await.1;
    origin.fill(1, payloads(50..60)).await;
    let further = sorted(origin.read(&[("job.parallelism", "2")]).await.1);
    if kind == Kind::Files {
        assert_eq!((again.len(), further.len()), (50, 60));
        return;
    }
    assert_eq!((again.len(), further), (0, (50..60).collect()));
    let earliest = origin.read(&[("source.readings.start", "earliest")]).await.1;
    assert_eq!(earliest.len(), 60);
}

at_every_place!(logs: reads_every_record_once keeps_the_order_of_a_split turns_malformed_payloads_aside_with_their_place ends_on_nothing_at_all continues_as_it_is_told);
