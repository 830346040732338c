//! Sources whose records a test gives.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};

use super::faults::Faults;
use super::mock_reader::{MockReader, Script};
use crate::job::stand_ins::{MakeMock, MockedSource};
use crate::model::{Control, Timestamp};

/// One thing that a source does.
#[derive(Clone)]
pub(super) enum Act<T> {
    Record(T, Timestamp),
    Bytes(Vec<u8>),
    Time(Control),
    Pause(Duration),
    End,
}

/// A source of a test: records, bytes, watermarks and pauses in their order. It is read by one subtask; the others
/// have nothing to read. Each record comes alone, and where its struct has an `event_time`, the watermark moves behind
/// each: what is late follows from the order of the records alone. After a crash it goes on behind the last completed
/// checkpoint.
pub struct MockSource<T> {
    acts: Vec<Act<T>>,
    hand: Option<mpsc::UnboundedReceiver<Act<T>>>,
    /// Ends a source by hand, if its handle still lives.
    end: Option<mpsc::WeakUnboundedSender<Act<T>>>,
    keeps_time: bool,
}

impl<T> Default for MockSource<T> {
    fn default() -> Self {
        Self { acts: Vec::new(), hand: None, end: None, keeps_time: false }
    }
}

impl<T: Clone + Send + 'static> MockSource<T> {
    /// A source of these records. Their event time is that of the struct's `event_time`, if it has one.
    pub fn of(records: impl IntoIterator<Item = T>) -> Self {
        let acts = records.into_iter().map(|record| Act::Record(record, Timestamp::MIN)).collect();
        Self { acts, ..Self::default() }
    }

    /// An empty source, to be filled by the methods below.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A source that a test gives records to while the job runs.
    pub fn by_hand() -> (Self, ManualSource<T>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let end = Some(sender.downgrade());
        (Self { hand: Some(receiver), end, ..Self::default() }, ManualSource { sender })
    }

    /// Then a record.
    #[must_use]
    pub fn record(mut self, record: T) -> Self {
        self.acts.push(Act::Record(record, Timestamp::MIN));
        self
    }

    /// Then a record with this event time, for a struct without `event_time`; the field of one that has it goes before.
    #[must_use]
    pub fn record_at(mut self, at: Timestamp, record: T) -> Self {
        self.acts.push(Act::Record(record, at));
        self
    }

    /// Then bytes, which are parsed as the struct's own connector would parse them.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.acts.push(Act::Bytes(bytes.into()));
        self
    }

    /// Then a watermark. A source with any has no others: what the attribute says of `out_of_orderness` does not count.
    #[must_use]
    pub fn watermark(mut self, at: Timestamp) -> Self {
        self.acts.push(Act::Time(Control::Watermark(at)));
        self.keeps_time = true;
        self
    }

    /// Then a time in which nothing comes.
    #[must_use]
    pub fn pause(mut self, time: Duration) -> Self {
        self.acts.push(Act::Pause(time));
        self
    }

    /// Says that watermarks are given by the test alone, also through a [`ManualSource`].
    #[must_use]
    pub fn own_watermarks(mut self) -> Self {
        self.keeps_time = true;
        self
    }

    /// What ends a source by hand.
    pub(super) fn ender(&self) -> Option<Box<dyn FnOnce() + Send>> {
        let end = self.end.clone()?;
        Some(Box::new(move || {
            // A handle that is gone has ended the source already.
            if let Some(sender) = end.upgrade() {
                let _ = sender.send(Act::End);
            }
        }))
    }

    /// What stands in for the real source, in every run of a test.
    pub(super) fn stand_in(self, faults: Faults) -> Arc<MockedSource<T>> {
        let Self { acts, hand, keeps_time, .. } = self;
        let script = Arc::new(Script { acts: std::sync::Mutex::new(acts), hand: hand.map(Mutex::new) });
        let make: MakeMock<T> = Arc::new(move |cx, decode| {
            Box::new(MockReader::new(Arc::clone(&script), decode, &cx, faults.clone()))
        });
        Arc::new(MockedSource { make, keeps_time })
    }
}

/// A test's hand on a source. The source ends when the last clone is dropped, and when the test is finished.
#[derive(Clone)]
pub struct ManualSource<T> {
    sender: mpsc::UnboundedSender<Act<T>>,
}

impl<T> ManualSource<T> {
    /// Gives a record; the job takes it when it is settled next.
    pub fn push(&self, record: T) {
        self.push_at(Timestamp::MIN, record);
    }

    /// Gives a record with this event time, for a struct without `event_time`.
    pub fn push_at(&self, at: Timestamp, record: T) {
        let _ = self.sender.send(Act::Record(record, at));
    }

    /// Gives bytes, which are parsed as the struct's own connector would parse them.
    pub fn bytes(&self, bytes: impl Into<Vec<u8>>) {
        let _ = self.sender.send(Act::Bytes(bytes.into()));
    }

    /// Gives a watermark. Where the struct has an `event_time`, watermarks follow from records besides, unless the
    /// source has [`MockSource::own_watermarks`].
    pub fn watermark(&self, at: Timestamp) {
        let _ = self.sender.send(Act::Time(Control::Watermark(at)));
    }

    /// Says that nothing is to be expected for now, so that nobody's watermark is held back.
    pub fn idle(&self) {
        let _ = self.sender.send(Act::Time(Control::Idle));
    }

    /// Ends the source.
    pub fn end(self) {}
}
