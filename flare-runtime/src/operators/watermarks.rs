//! Event time: stamps records and follows how far it has come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::keeping::Keeping;
use crate::api::{Counter, Downstream, HostLink, InputPort, Subtask, until};
use crate::error::Result;
use crate::model::{
    Barrier, Batch, Control, Message, Meta, OperatorId, SplitId, SplitName, Splits, Timestamp,
};
use crate::state::{SnapshotReader, SnapshotWriter};

/// Reads a record's event time.
pub type ReadTime<T> = Arc<dyn Fn(&T) -> Timestamp + Send + Sync>;
/// Gives the watermark that a record with this event time stands for, if any.
pub type OwnWatermark<T> = Arc<dyn Fn(&T, Timestamp) -> Option<Timestamp> + Send + Sync>;

/// How watermarks follow from records.
pub struct WatermarkStrategy<T> {
    /// Reads a record's event time.
    pub time: ReadTime<T>,
    /// How far a record may come behind a later one.
    pub out_of_orderness: Duration,
    /// The user's own function, instead of the bound.
    pub own: Option<OwnWatermark<T>>,
    /// After which time without a record a split holds nobody's watermark back.
    pub idle_after: Option<Duration>,
}

impl<T> Clone for WatermarkStrategy<T> {
    fn clone(&self) -> Self {
        let Self { time, out_of_orderness, own, idle_after } = self;
        Self {
            time: Arc::clone(time),
            out_of_orderness: *out_of_orderness,
            own: own.clone(),
            idle_after: *idle_after,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Split {
    watermark: Timestamp,
    /// When a record came last.
    seen: Instant,
    idle: bool,
}

/// The watermark of one subtask: that of its slowest split which is not idle.
pub(super) struct Watermarks<T> {
    strategy: WatermarkStrategy<T>,
    splits: BTreeMap<SplitId, Split>,
    /// Whether somebody says which splits there are.
    assigned: bool,
    began: Instant,
    sent: Timestamp,
    /// Whether all splits are idle, and this was said.
    idle: bool,
    /// Whether the end of all input has passed.
    ended: bool,
    /// How far splits had come in an earlier run.
    restored: BTreeMap<SplitId, Timestamp>,
    /// What all subtasks had sent in an earlier run.
    floor: Timestamp,
}

/// The name under which is kept how far splits have come.
const WATERMARKS: &str = "flare.watermarks";

/// How far a subtask's event time has come.
#[derive(Serialize, Deserialize)]
struct Come {
    /// What it has sent; the latest moment where it holds nobody back.
    sent: Timestamp,
    splits: Vec<SplitTime>,
}

/// How far a split has come.
#[derive(Serialize, Deserialize)]
struct SplitTime {
    /// The operator that reads it, and its name; both empty for records without a split.
    source: String,
    name: String,
    at: Timestamp,
    /// Whether it was met since the last restore; else this is what was restored.
    met: bool,
}

impl<T> Watermarks<T> {
    pub(super) fn new(strategy: WatermarkStrategy<T>) -> Self {
        Self {
            strategy,
            splits: BTreeMap::new(),
            assigned: false,
            began: Instant::now(),
            sent: Timestamp::MIN,
            idle: false,
            ended: false,
            restored: BTreeMap::new(),
            floor: Timestamp::MIN,
        }
    }

    /// Writes how far each split has come, and what was sent.
    pub(super) fn snapshot(&self, names: &Splits, writer: &mut SnapshotWriter) -> Result<()> {
        // A split that is not met again yet keeps what it had.
        let before = self.restored.iter().filter(|(split, _)| !self.splits.contains_key(split));
        let before = before.map(|(split, at)| (split, *at, false));
        // What was sent holds for every split, also for one that began behind it.
        let now = self.splits.iter().map(|(split, state)| (split, state.watermark.max(self.sent), true));
        let named = |(split, at, met): (&SplitId, Timestamp, bool)| {
            let name =
                names.name(*split).map(|SplitName { source, name }| (source.to_string(), name.to_string()));
            let (source, name) = name.unwrap_or_default();
            SplitTime { source, name, at, met }
        };
        let holds_nobody = self.ended || (self.assigned && self.splits.is_empty());
        let sent = if holds_nobody { Timestamp::MAX } else { self.sent };
        writer.own(WATERMARKS, &Come { sent, splits: now.chain(before).map(named).collect() })
    }

    /// Takes up how far splits had come; where several subtasks have met a split, the slowest leads.
    pub(super) fn restore(&mut self, names: &Splits, reader: &SnapshotReader<'_>) -> Result<()> {
        let parts = reader.own::<Come>(WATERMARKS)?;
        let slowest = parts.iter().map(|part| part.sent).min();
        self.floor = slowest.filter(|sent| *sent < Timestamp::MAX).unwrap_or(Timestamp::MIN);
        let mut known: BTreeMap<SplitId, (bool, Timestamp)> = BTreeMap::new();
        for SplitTime { source, name, at, met } in parts.into_iter().flat_map(|part| part.splits) {
            let split = match source.as_str() {
                "" => SplitId::NONE,
                source => names.register(&OperatorId::from(source), &name),
            };
            // Those that have not met it come last: they know only how far it was before.
            let found = (!met, at);
            known.entry(split).and_modify(|best| *best = found.min(*best)).or_insert(found);
        }
        self.restored = known.into_iter().map(|(split, (_, at))| (split, at)).collect();
        Ok(())
    }

    /// Where a split begins that is met for the first time.
    fn beginning(&self, split: SplitId) -> Timestamp {
        self.restored.get(&split).copied().unwrap_or(Timestamp::MIN)
    }

    /// The splits that are read: one without a record holds the watermark back until it is idle, one that is gone does
    /// so no more.
    pub(super) fn assign(&mut self, splits: &[SplitId], now: Instant) {
        self.assigned = true;
        self.splits.retain(|split, _| splits.contains(split));
        for split in splits {
            let fresh = Split { watermark: self.beginning(*split), seen: now, idle: false };
            self.splits.entry(*split).or_insert(fresh);
        }
    }

    /// Stamps the records with their event times and notes how far they have come.
    pub(super) fn observe(&mut self, batch: &mut Batch<T>, now: Instant) {
        batch.metas.resize(batch.items.len(), Meta::NONE);
        let mut last: Option<(SplitId, Timestamp)> = None;
        for (item, meta) in batch.items.iter().zip(&mut batch.metas) {
            meta.timestamp = (self.strategy.time)(item);
            let watermark = match &self.strategy.own {
                Some(own) => own(item, meta.timestamp).unwrap_or(Timestamp::MIN),
                // One millisecond less: records of exactly the watermark's time count as late.
                None => {
                    meta.timestamp.saturating_sub(self.strategy.out_of_orderness + Duration::from_millis(1))
                }
            };
            match &mut last {
                Some((split, highest)) if *split == meta.split => *highest = (*highest).max(watermark),
                _ => {
                    self.raise(last, now);
                    last = Some((meta.split, watermark));
                }
            }
        }
        self.raise(last, now);
    }

    fn raise(&mut self, seen: Option<(SplitId, Timestamp)>, now: Instant) {
        let Some((split, watermark)) = seen else { return };
        let fresh = Split { watermark: self.beginning(split), seen: now, idle: false };
        let split = self.splits.entry(split).or_insert(fresh);
        split.watermark = split.watermark.max(watermark);
        (split.seen, split.idle) = (now, false);
    }

    /// Notes that no record can come any more.
    fn end(&mut self) {
        self.ended = true;
    }

    /// What is to be said of the watermark now, if anything.
    pub(super) fn advance(&mut self, now: Instant) -> Option<Control> {
        if let Some(idle_after) = self.strategy.idle_after {
            for split in self.splits.values_mut() {
                split.idle = now.duration_since(split.seen) >= idle_after;
            }
        }
        let live = self.splits.values().filter(|split| !split.idle);
        let Some(slowest) = live.map(|split| split.watermark).min() else {
            // Where nobody says which splits there are, a stream without any record is idle after that time.
            let is_early = self.strategy.idle_after.is_none_or(|after| now < self.began + after);
            if self.splits.is_empty() && !self.assigned && is_early {
                // Readers of several streams wait for what this one had sent before.
                let is_news = self.floor > self.sent;
                self.sent = self.sent.max(self.floor);
                return is_news.then_some(Control::Watermark(self.sent));
            }
            let is_news = !std::mem::replace(&mut self.idle, true);
            return is_news.then_some(Control::Idle);
        };
        let slowest = slowest.max(self.floor);
        let was_idle = std::mem::replace(&mut self.idle, false);
        if slowest > self.sent || was_idle {
            self.sent = self.sent.max(slowest);
            return (self.sent > Timestamp::MIN).then_some(Control::Watermark(self.sent));
        }
        None
    }

    /// When the next split becomes idle, unless a record comes.
    pub(super) fn idle_at(&self) -> Option<Instant> {
        let idle_after = self.strategy.idle_after?;
        if self.splits.is_empty() {
            return (!self.assigned && !self.idle).then(|| self.began + idle_after);
        }
        let live = self.splits.values().filter(|split| !split.idle);
        live.map(|split| split.seen + idle_after).min()
    }
}

/// Stamps the records of a stream; watermarks from before it end here.
pub struct Stamping<T> {
    input: InputPort<T>,
    downstream: Downstream<T>,
    watermarks: Watermarks<T>,
    keeping: Keeping,
    records_in: Counter,
}

enum Event<T> {
    Message(Message<T>),
    Flush,
    Idle,
}

impl<T: Send + 'static> Stamping<T> {
    /// Stamps what goes from the one to the other.
    pub fn new(
        input: InputPort<T>,
        downstream: Downstream<T>,
        strategy: WatermarkStrategy<T>,
        keeping: Keeping,
    ) -> Self {
        let cx = &downstream.cx;
        let records_in = cx.metrics().counter(&cx.subtask.operator.0, "records_in");
        Self { input, downstream, watermarks: Watermarks::new(strategy), keeping, records_in }
    }

    fn restore(&mut self) -> Result<()> {
        let Self { downstream, watermarks, keeping, .. } = self;
        keeping.restore(|reader| watermarks.restore(downstream.cx.splits(), reader))
    }

    async fn acknowledge(&mut self, link: &HostLink, barrier: Barrier) -> Result<()> {
        let Self { downstream, watermarks, keeping, .. } = self;
        let snapshot = keeping.snapshot(|writer| watermarks.snapshot(downstream.cx.splits(), writer));
        link.acknowledge(barrier, snapshot?).await;
        Ok(())
    }

    async fn advance(&mut self) -> Result<()> {
        match self.watermarks.advance(Instant::now()) {
            Some(control) => self.downstream.control(control).await,
            None => Ok(()),
        }
    }

    /// Handles one message; `false` at the end of input.
    async fn message(&mut self, link: &HostLink, message: Message<T>) -> Result<bool> {
        match message {
            Message::Batch(mut batch) => {
                self.records_in.add(batch.len() as u64);
                self.watermarks.observe(&mut batch, Instant::now());
                self.downstream.batch(batch).await?;
                self.advance().await?;
            }
            // The end of all input is the one mark that holds whatever the records' time.
            Message::Control(control @ Control::Watermark(Timestamp::MAX)) => {
                self.watermarks.end();
                self.downstream.control(control).await?;
            }
            Message::Control(Control::Watermark(_) | Control::Idle) => {}
            Message::Control(Control::End) => {
                self.downstream.control(Control::End).await?;
                self.acknowledge(link, Barrier::END).await?;
                return Ok(false);
            }
            Message::Control(control @ Control::Barrier(barrier)) => {
                self.downstream.control(control).await?;
                self.acknowledge(link, barrier).await?;
            }
        }
        Ok(true)
    }
}

#[async_trait]
impl<T: Send + 'static> Subtask for Stamping<T> {
    async fn run(mut self: Box<Self>, link: HostLink) -> Result<()> {
        self.restore().map_err(|error| error.with("operator", &self.downstream.cx.subtask))?;
        self.advance().await?;
        loop {
            let (flush_at, idle_at) = (self.downstream.flush_at(), self.watermarks.idle_at());
            let event = tokio::select! {
                biased;
                () = until(flush_at) => Event::Flush,
                () = until(idle_at) => Event::Idle,
                message = self.input.next() => Event::Message(message?),
            };
            match event {
                Event::Message(message) => {
                    if !self.message(&link, message).await? {
                        return Ok(());
                    }
                }
                Event::Flush => self.downstream.flush().await?,
                Event::Idle => self.advance().await?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Restored;
    use crate::model::KeyGroups;

    const GROUPS: KeyGroups = KeyGroups { count: 1 };

    /// A subtask that goes on behind a crash of these.
    fn restored(names: &Splits, before: &[&Watermarks<i64>]) -> Watermarks<i64> {
        let snapshot = |before: &&Watermarks<i64>| {
            let mut writer = SnapshotWriter::new(GROUPS);
            before.snapshot(names, &mut writer).expect("plain data");
            Arc::new(writer.finish())
        };
        let parts = before.iter().map(snapshot).collect();
        let restored = Restored { parts, groups: 0..1, drops_unread: false };
        let mut watermarks = watermarks(0, None);
        watermarks.restore(names, &SnapshotReader::new(&restored, GROUPS)).expect("its own snapshots");
        watermarks
    }

    /// Reads a record of a split.
    fn read(watermarks: &mut Watermarks<i64>, split: SplitId, time: i64) -> Option<Control> {
        let now = Instant::now();
        watermarks.assign(&[split], now);
        watermarks.observe(&mut batch(&[(time, split.0)]), now);
        watermarks.advance(now)
    }

    fn two_splits() -> (Splits, SplitId, SplitId) {
        let (names, source) = (Splits::default(), OperatorId::from("source"));
        let (a, b) = (names.register(&source, "a"), names.register(&source, "b"));
        (names, a, b)
    }

    fn watermarks(out_of_orderness: u64, idle_after: Option<Duration>) -> Watermarks<i64> {
        let out_of_orderness = Duration::from_millis(out_of_orderness);
        let time: ReadTime<i64> = Arc::new(|millis| Timestamp::from_millis(*millis));
        Watermarks::new(WatermarkStrategy { time, out_of_orderness, own: None, idle_after })
    }

    fn batch(records: &[(i64, u32)]) -> Batch<i64> {
        let mut batch = Batch::default();
        for (time, split) in records {
            batch.push(*time, Meta { split: SplitId(*split), ..Meta::NONE });
        }
        batch
    }

    fn at(millis: i64) -> Option<Control> {
        Some(Control::Watermark(Timestamp::from_millis(millis)))
    }

    #[test]
    fn lets_the_slowest_split_lead_the_watermark() {
        let (mut watermarks, now) = (watermarks(5, None), Instant::now());
        let mut first = batch(&[(100, 0), (50, 1), (90, 0)]);
        watermarks.observe(&mut first, now);
        assert_eq!(watermarks.advance(now), at(44));
        assert_eq!(first.metas[2].timestamp, Timestamp::from_millis(90));
        watermarks.observe(&mut batch(&[(200, 0)]), now);
        assert_eq!(watermarks.advance(now), None);
    }

    #[test]
    fn waits_for_a_split_that_has_given_nothing_yet() {
        let (mut watermarks, now) = (watermarks(0, None), Instant::now());
        watermarks.assign(&[SplitId(0), SplitId(1)], now);
        watermarks.observe(&mut batch(&[(100, 0)]), now);
        assert_eq!(watermarks.advance(now), None);
        watermarks.assign(&[SplitId(0)], now);
        assert_eq!(watermarks.advance(now), at(99));
    }

    #[test]
    fn is_idle_when_no_record_has_ever_come() {
        let idle_after = Duration::from_secs(1);
        let mut watermarks = watermarks(0, Some(idle_after));
        let due = watermarks.idle_at().expect("it waits");
        assert_eq!(watermarks.advance(due - Duration::from_millis(1)), None);
        assert_eq!(watermarks.advance(due), Some(Control::Idle));
        assert_eq!(watermarks.idle_at(), None);
    }

    #[test]
    fn goes_on_without_idle_splits_and_never_back() {
        let (idle_after, start) = (Duration::from_secs(1), Instant::now());
        let mut watermarks = watermarks(0, Some(idle_after));
        watermarks.observe(&mut batch(&[(100, 0), (10, 1)]), start);
        assert_eq!(watermarks.advance(start), at(9));
        assert_eq!(watermarks.idle_at(), Some(start + idle_after));
        let later = start + idle_after;
        watermarks.observe(&mut batch(&[(120, 0)]), later);
        assert_eq!(watermarks.advance(later), at(119));
        assert_eq!(watermarks.advance(later + idle_after), Some(Control::Idle));
        assert_eq!(watermarks.advance(later + idle_after), None);
        let again = later + idle_after * 2;
        watermarks.observe(&mut batch(&[(20, 1)]), again);
        assert_eq!(watermarks.advance(again), at(119), "active again, and no earlier than before");
    }

    #[test]
    fn each_split_goes_on_where_its_reader_was() {
        let (now, (names, a, b)) = (Instant::now(), two_splits());
        let (mut first, mut second) = (watermarks(0, None), watermarks(0, None));
        for (at_a, at_b) in [(100, 100), (500, 900)] {
            read(&mut first, a, at_a);
            read(&mut second, b, at_b);
            (first, second) = (restored(&names, &[&first, &second]), restored(&names, &[&first, &second]));
        }
        second.assign(&[b], now);
        assert_eq!(second.advance(now), at(899));
        first.assign(&[a, b], now);
        assert_eq!(first.advance(now), at(499));
    }

    #[test]
    fn a_split_that_is_not_read_yet_is_not_forgotten() {
        let (now, (names, a, _)) = (Instant::now(), two_splits());
        let mut before = watermarks(0, None);
        read(&mut before, a, 100);
        let mut between = restored(&names, &[&before]);
        between.assign(&[], now);
        let mut after = restored(&names, &[&between]);
        after.assign(&[a], now);
        assert_eq!(after.advance(now), at(99));
    }

    #[test]
    fn what_was_sent_holds_for_a_split_behind_it() {
        let (now, (names, a, b)) = (Instant::now(), two_splits());
        let mut before = watermarks(0, None);
        assert_eq!(read(&mut before, a, 900), at(899));
        assert_eq!(read(&mut before, b, 100), None);
        let mut after = restored(&names, &[&before]);
        after.assign(&[b], now);
        assert_eq!(after.advance(now), at(899));
    }

    #[test]
    fn says_again_what_was_sent_before_any_record() {
        let (now, names) = (Instant::now(), Splits::default());
        let (mut first, mut second) = (watermarks(0, None), watermarks(0, None));
        for (watermarks, time) in [(&mut first, 500), (&mut second, 900)] {
            watermarks.observe(&mut batch(&[(time, SplitId::NONE.0)]), now);
            watermarks.advance(now);
        }
        let mut after = restored(&names, &[&first, &second]);
        assert_eq!((after.advance(now), after.advance(now)), (at(499), None));
        let mut ended = restored(&names, &[&after]);
        ended.end();
        assert_eq!(restored(&names, &[&ended, &second]).advance(now), at(899));
        assert_eq!(restored(&names, &[&ended]).advance(now), None);
    }
}
