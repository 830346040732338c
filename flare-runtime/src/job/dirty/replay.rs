//! Which dirty records are read again, and how.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;

use crate::api::{DirtyStage, Offsets, Replay, Replayed};
use crate::engine::Replays;
use crate::model::{DirtyRecord, OperatorId, Timestamp};
use crate::plan::{Graph, Role};

/// What a replay reads.
#[derive(Debug, Default)]
pub(in crate::job) struct ReplayPlan {
    /// By source.
    pub(in crate::job) replays: Replays,
    /// Records that are parsed again from the bytes that landed.
    at_hand: usize,
    /// Records that their source reads again.
    found_again: usize,
    /// How many records cannot be replayed, by reason.
    pub(in crate::job) refused: BTreeMap<String, usize>,
    newest: Option<Timestamp>,
}

/// The way back of one record.
enum Way {
    AtHand(Replayed),
    Offset(String, i64),
}

impl ReplayPlan {
    /// Plans the replay of `records`. What could not be parsed is parsed again from its bytes, as they landed or were
    /// mended since; everything else its source reads again, since what landed of it is an intermediate record.
    pub(in crate::job) fn new(graph: &Graph, records: Vec<DirtyRecord>) -> Self {
        let heads = graph.stages.iter().map(|node| &node.info).filter(|info| info.head.role == Role::Source);
        let sources: BTreeMap<&str, bool> =
            heads.map(|info| (info.head.id.0.as_ref(), info.replayable)).collect();
        let newest = records.iter().map(|record| record.rejected_at).max();
        let mut plan = Self { newest, ..Self::default() };
        let mut parts: BTreeMap<OperatorId, (Vec<Replayed>, Offsets)> = BTreeMap::new();
        for record in latest_of_each(records) {
            let way = source_of(&record, &sources).and_then(|source| Ok((source, way_of(record)?)));
            match way {
                Ok((source, Way::AtHand(replayed))) => {
                    plan.at_hand += 1;
                    parts.entry(source).or_default().0.push(replayed);
                }
                Ok((source, Way::Offset(split, offset))) => {
                    plan.found_again += 1;
                    parts.entry(source).or_default().1.entry(split).or_default().insert(offset);
                }
                Err(reason) => *plan.refused.entry(reason).or_default() += 1,
            }
        }
        let replays = parts.into_iter();
        plan.replays = replays
            .map(|(source, (records, offsets))| (source, Arc::new(Replay::new(records, offsets))))
            .collect();
        plan
    }

    /// What will be done.
    pub(in crate::job) fn text(&self) -> String {
        let mut text = format!(
            "replay: {} records from the bytes that landed, {} read again by their sources\n",
            self.at_hand, self.found_again
        );
        for (source, replay) in &self.replays {
            let (records, splits) = (replay.records().len(), replay.offsets());
            let _ = write!(text, "  {source}: {records} from bytes");
            for (split, offsets) in splits {
                let _ = write!(text, ", {} in {split}", offsets.len());
            }
            text.push('\n');
        }
        for (reason, count) in &self.refused {
            let _ = writeln!(text, "  {count} cannot be replayed: {reason}");
        }
        text
    }

    /// What was not done, and where to go on; for the end of the replay.
    pub(in crate::job) fn outcome(&self) -> Outcome {
        let mut text = String::new();
        let mut missing = 0;
        for (source, replay) in &self.replays {
            for (split, offsets) in replay.missing() {
                missing += offsets.len();
                let shown: Vec<_> = offsets.iter().take(10).map(i64::to_string).collect();
                let more = if offsets.len() > shown.len() { ", …" } else { "" };
                let _ = writeln!(
                    text,
                    "  {source}: {} records are not in {split} any more: {}{more}",
                    offsets.len(),
                    shown.join(", ")
                );
            }
        }
        for (reason, count) in &self.refused {
            let _ = writeln!(text, "  {count} were not replayed: {reason}");
        }
        // A record that failed again was turned aside after this moment.
        if let Some(newest) = self.newest {
            let next = Timestamp::from_millis(newest.as_millis().saturating_add(1));
            let _ = writeln!(
                text,
                "  dirty records that came since, those that failed again too: --since {next}"
            );
        }
        Outcome { text, is_complete: missing == 0 && self.refused.is_empty() }
    }
}

/// How a replay went, apart from the run itself.
pub(in crate::job) struct Outcome {
    pub(in crate::job) text: String,
    /// Whether every chosen record was replayed.
    pub(in crate::job) is_complete: bool,
}

/// A record may have been turned aside several times, once in each replay: the latest counts.
fn latest_of_each(records: Vec<DirtyRecord>) -> Vec<DirtyRecord> {
    let mut latest: BTreeMap<(String, String, i64), DirtyRecord> = BTreeMap::new();
    let mut unknown = Vec::new();
    for record in records {
        if record.split.is_empty() || record.offset < 0 {
            unknown.push(record);
            continue;
        }
        let place = (record.source.clone(), record.split.clone(), record.offset);
        let is_older = latest.get(&place).is_some_and(|known| known.rejected_at > record.rejected_at);
        if !is_older {
            latest.insert(place, record);
        }
    }
    unknown.extend(latest.into_values());
    unknown
}

/// The source that reads the record again, or why there is none.
fn source_of(record: &DirtyRecord, sources: &BTreeMap<&str, bool>) -> Result<OperatorId, String> {
    let mut names = sources.keys();
    let name = match (record.source.as_str(), names.next(), names.next()) {
        ("", Some(only), None) => only,
        ("", ..) => return Err("their source is unknown, and the job has several".to_owned()),
        (name, ..) => name,
    };
    match sources.get(name) {
        Some(true) => Ok(OperatorId::from(name)),
        Some(false) => Err(format!("the source `{name}` cannot read a record again")),
        None => Err(format!("the job has no source `{name}`")),
    }
}

fn way_of(record: DirtyRecord) -> Result<Way, String> {
    let DirtyRecord { stage, split, offset, raw, raw_base64, raw_truncated, .. } = record;
    if stage == DirtyStage::Parse.name() && !raw_truncated {
        let payload = match raw_base64 {
            false => raw.into_bytes(),
            true => base64::engine::general_purpose::STANDARD
                .decode(raw)
                .map_err(|_| "`raw` is no base64, although `raw_base64` says so".to_owned())?,
        };
        return Ok(Way::AtHand(Replayed { payload, split, offset }));
    }
    if split.is_empty() || offset < 0 {
        return Err("it is not known where they were read".to_owned());
    }
    Ok(Way::Offset(split, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stage: &str, offset: i64, rejected_at: i64) -> DirtyRecord {
        DirtyRecord {
            job: "orders".to_owned(),
            stage: stage.to_owned(),
            operator: "map-1".to_owned(),
            subtask: 0,
            kind: "bad_record".to_owned(),
            causes: Vec::new(),
            source: "source.Order".to_owned(),
            split: "orders/0".to_owned(),
            offset,
            event_time: None,
            rejected_at: Timestamp::from_millis(rejected_at),
            attempt: 1,
            raw: "{".to_owned(),
            raw_base64: false,
            raw_truncated: false,
        }
    }

    #[test]
    fn replays_a_record_once_as_it_was_turned_aside_last() {
        let records = vec![record("lookup", 7, 20), record("parse", 7, 10), record("parse", 8, 10)];
        let latest = latest_of_each(records);
        let stages: Vec<_> = latest.iter().map(|record| (record.stage.as_str(), record.offset)).collect();
        assert_eq!(stages, [("lookup", 7), ("parse", 8)]);
    }

    #[test]
    fn says_why_a_record_cannot_be_replayed() {
        let sources = BTreeMap::from([("source.Order", true), ("source.Clock", false)]);
        let of = |source: &str| {
            let record = DirtyRecord { source: source.to_owned(), ..record("parse", 1, 1) };
            source_of(&record, &sources).map(|id| id.to_string())
        };
        assert_eq!(of("source.Order"), Ok("source.Order".to_owned()));
        assert!(of("source.Clock").expect_err("generated").contains("cannot read a record again"));
        assert!(of("source.Gone").expect_err("gone").contains("no source `source.Gone`"));
        assert!(of("").expect_err("which?").contains("several"));
        assert!(way_of(record("convert", -1, 1)).is_err());
        let torn = DirtyRecord { raw_truncated: true, ..record("parse", 3, 1) };
        assert!(matches!(way_of(torn), Ok(Way::Offset(_, 3))));
    }
}
