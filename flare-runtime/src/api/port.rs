//! Ports: where a subtask's batches and control messages come in and go out.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::stage::{Consumer, StageContext};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Barrier, Batch, Control, Message, Timestamp};

/// One upstream subtask.
#[derive(Debug)]
struct Lane<T> {
    receiver: mpsc::Receiver<Message<T>>,
    watermark: Timestamp,
    idle: bool,
    ended: bool,
    blocked_at: Option<Barrier>,
}

/// Merges the lanes from all upstream subtasks: barriers are aligned, the slowest watermark leads, idle lanes hold
/// nobody back, and the end comes when every lane has ended.
#[derive(Debug)]
pub struct InputPort<T> {
    lanes: Vec<Lane<T>>,
    next_lane: usize,
    watermark: Timestamp,
    idle: bool,
    ready: VecDeque<Control>,
}

impl<T> InputPort<T> {
    /// A port over one receiver for every upstream subtask.
    pub fn new(receivers: Vec<mpsc::Receiver<Message<T>>>) -> Self {
        // A port that nobody writes to has ended.
        let ready = receivers.is_empty().then_some(Control::End).into_iter().collect();
        let lane = |receiver| Lane {
            receiver,
            watermark: Timestamp::MIN,
            idle: false,
            ended: false,
            blocked_at: None,
        };
        Self {
            lanes: receivers.into_iter().map(lane).collect(),
            next_lane: 0,
            watermark: Timestamp::MIN,
            idle: false,
            ready,
        }
    }

    /// The next batch or control message.
    ///
    /// # Errors
    /// When an upstream subtask went away without ending its stream.
    ///
    /// # Cancel safety
    /// Cancel safe: a message is taken only when it is returned.
    pub async fn next(&mut self) -> Result<Message<T>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message<T>>> {
        if let Some(control) = self.ready.pop_front() {
            return Poll::Ready(Ok(Message::Control(control)));
        }
        let count = self.lanes.len();
        let mut step = 0;
        while step < count {
            let index = (self.next_lane + step) % count;
            let lane = &mut self.lanes[index];
            if lane.ended || lane.blocked_at.is_some() {
                step += 1;
                continue;
            }
            match lane.receiver.poll_recv(cx) {
                Poll::Pending => step += 1,
                Poll::Ready(None) => {
                    let message = "an upstream subtask went away without ending its stream";
                    return Poll::Ready(Err(Error::new(ErrorKind::Failed, message).consequence()));
                }
                Poll::Ready(Some(Message::Batch(batch))) => {
                    lane.idle = false;
                    self.idle = false;
                    self.next_lane = (index + 1) % count;
                    return Poll::Ready(Ok(Message::Batch(batch)));
                }
                Poll::Ready(Some(Message::Control(control))) => {
                    self.control(index, control);
                    if let Some(control) = self.ready.pop_front() {
                        return Poll::Ready(Ok(Message::Control(control)));
                    }
                    // An alignment may have freed lanes that were passed over already.
                    step = 0;
                }
            }
        }
        Poll::Pending
    }

    fn control(&mut self, index: usize, control: Control) {
        let lane = &mut self.lanes[index];
        match control {
            Control::Watermark(watermark) => {
                lane.watermark = lane.watermark.max(watermark);
                lane.idle = false;
                self.advance_watermark();
            }
            Control::Idle => {
                lane.idle = true;
                self.advance_watermark();
            }
            Control::Barrier(barrier) => {
                lane.blocked_at = Some(barrier);
                self.align();
            }
            Control::End => {
                lane.ended = true;
                self.advance_watermark();
                self.align();
                if self.lanes.iter().all(|lane| lane.ended) {
                    self.ready.push_back(Control::End);
                }
            }
        }
    }

    fn advance_watermark(&mut self) {
        // One at the end of its input has said so by the last watermark; one that was stopped goes on after a restore.
        let slowest = self.lanes.iter().filter(|lane| !lane.idle).map(|lane| lane.watermark).min();
        let all_idle =
            self.lanes.iter().all(|lane| lane.idle || lane.ended) && self.lanes.iter().any(|lane| lane.idle);
        if all_idle {
            if !self.idle {
                self.idle = true;
                self.ready.push_back(Control::Idle);
            }
        } else if let Some(slowest) = slowest.filter(|slowest| *slowest > self.watermark) {
            self.idle = false;
            self.watermark = slowest;
            self.ready.push_back(Control::Watermark(slowest));
        }
    }

    /// Lets a barrier through once every lane that still runs has it.
    fn align(&mut self) {
        let mut open = self.lanes.iter().filter(|lane| !lane.ended);
        let Some(barrier) = self.lanes.iter().filter_map(|lane| lane.blocked_at).min() else { return };
        if open.all(|lane| lane.blocked_at.is_some_and(|at| at <= barrier)) {
            for lane in &mut self.lanes {
                if lane.blocked_at == Some(barrier) {
                    lane.blocked_at = None;
                }
            }
            self.ready.push_back(Control::Barrier(barrier));
        }
    }
}

/// Says which downstream subtask each record belongs to.
pub trait Partition<T>: Send {
    /// Adds a subtask's number for each record.
    fn lanes(&mut self, items: &[T], lanes: &mut Vec<usize>);
}

/// The way to one downstream stage.
pub enum Edge<T> {
    /// One subtask to one subtask.
    Forward(mpsc::Sender<Message<T>>),
    /// Batches in turn to all subtasks.
    Rebalance(Vec<mpsc::Sender<Message<T>>>),
    /// Every batch to every subtask.
    Broadcast(Vec<mpsc::Sender<Message<T>>>),
    /// Every record to the subtask that it belongs to. The mutex is never locked: it makes closures of users, which
    /// need not be `Sync`, harmless in a future.
    Partition(Vec<mpsc::Sender<Message<T>>>, Mutex<Box<dyn Partition<T>>>),
}

impl<T> Edge<T> {
    fn senders(&self) -> &[mpsc::Sender<Message<T>>] {
        match self {
            Self::Forward(sender) => std::slice::from_ref(sender),
            Self::Rebalance(senders) | Self::Broadcast(senders) | Self::Partition(senders, _) => senders,
        }
    }
}

/// Sends a subtask's records to all stages that read them, in batches of a sensible size.
pub struct Output<T> {
    edges: Vec<Edge<T>>,
    turn: usize,
    buffer: Batch<T>,
    target: usize,
    pending: VecDeque<(usize, usize, Message<T>)>,
    duplicate: fn(&T) -> T,
    /// Kept for its memory.
    lanes: Vec<usize>,
}

/// Given to an [`Output`] whose records have one reader only.
fn never_duplicated<T>(_: &T) -> T {
    unreachable!("an output with one reader duplicates nothing")
}

impl<T: Send + 'static> Output<T> {
    /// An output that sends batches of about `target` records. With more than one reader, or a broadcast,
    /// `duplicate` copies records.
    pub fn new(edges: Vec<Edge<T>>, target: usize, duplicate: Option<fn(&T) -> T>) -> Self {
        let duplicate = duplicate.unwrap_or(never_duplicated);
        let (buffer, pending, lanes) = (Batch::default(), VecDeque::new(), Vec::new());
        Self { edges, turn: 0, buffer, target: target.max(1), pending, duplicate, lanes }
    }

    fn copy(&self, batch: &Batch<T>) -> Batch<T> {
        Batch { items: batch.items.iter().map(self.duplicate).collect(), metas: batch.metas.clone() }
    }

    fn send_batch(&mut self, batch: Batch<T>) {
        self.turn = self.turn.wrapping_add(1);
        let mut readers = Vec::new();
        for (index, edge) in self.edges.iter().enumerate() {
            match edge {
                Edge::Forward(_) => readers.push((index, Some(0))),
                Edge::Rebalance(senders) => readers.push((index, Some(self.turn % senders.len()))),
                Edge::Broadcast(senders) => {
                    readers.extend((0..senders.len()).map(|lane| (index, Some(lane))));
                }
                Edge::Partition(..) => readers.push((index, None)),
            }
        }
        let Some(last) = readers.pop() else { return };
        for (edge, lane) in readers {
            let copy = self.copy(&batch);
            self.send_to(edge, lane, copy);
        }
        self.send_to(last.0, last.1, batch);
    }

    /// Sends a batch to one lane of an edge; without a lane, each record to its own.
    fn send_to(&mut self, edge: usize, lane: Option<usize>, batch: Batch<T>) {
        match lane {
            Some(lane) => self.send(edge, lane, Message::Batch(batch)),
            None => self.spread(edge, batch),
        }
    }

    fn spread(&mut self, edge: usize, batch: Batch<T>) {
        let Edge::Partition(senders, partition) = &mut self.edges[edge] else { return };
        let count = senders.len();
        self.lanes.clear();
        let partition = partition.get_mut().unwrap_or_else(PoisonError::into_inner);
        partition.lanes(&batch.items, &mut self.lanes);
        let share = batch.len() / count + batch.len() / 8 + 1;
        let mut parts: Vec<Batch<T>> = (0..count).map(|_| Batch::with_capacity(share)).collect();
        for (record, lane) in batch.into_records().zip(&self.lanes) {
            parts[*lane].push(record.0, record.1);
        }
        for (lane, part) in parts.into_iter().enumerate() {
            if !part.is_empty() {
                self.send(edge, lane, Message::Batch(part));
            }
        }
    }

    /// Sends at once if there is room, else remembers the message; order is kept.
    fn send(&mut self, edge: usize, lane: usize, message: Message<T>) {
        if self.pending.is_empty() {
            match self.edges[edge].senders()[lane].try_send(message) {
                // A reader that is gone has failed, and the host ends the job for that reason.
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(message)) => self.pending.push_back((edge, lane, message)),
            }
        } else {
            self.pending.push_back((edge, lane, message));
        }
    }

    fn send_buffer(&mut self) {
        if !self.buffer.is_empty() {
            let batch = std::mem::take(&mut self.buffer);
            self.send_batch(batch);
        }
    }
}

#[async_trait]
impl<T: Send + 'static> Consumer<T> for Output<T> {
    fn batch(&mut self, mut batch: Batch<T>, _cx: &mut StageContext) -> Result<()> {
        if self.buffer.is_empty() && batch.len() * 2 >= self.target {
            self.send_batch(batch);
        } else {
            self.buffer.append(&mut batch);
            if self.buffer.len() >= self.target {
                self.send_buffer();
            }
        }
        Ok(())
    }

    fn control(&mut self, control: Control, _cx: &mut StageContext) -> Result<()> {
        self.send_buffer();
        for edge in 0..self.edges.len() {
            for lane in 0..self.edges[edge].senders().len() {
                self.send(edge, lane, Message::Control(control));
            }
        }
        Ok(())
    }

    fn flush(&mut self) {
        self.send_buffer();
    }

    fn is_buffering(&self) -> bool {
        !self.buffer.is_empty()
    }

    fn is_blocked(&self) -> bool {
        !self.pending.is_empty()
    }

    async fn unblock(&mut self) -> Result<()> {
        while let Some((edge, lane, _)) = self.pending.front() {
            let permit = self.edges[*edge].senders()[*lane].reserve().await;
            let (_, _, message) = self.pending.pop_front().expect("just seen");
            if let Ok(permit) = permit {
                permit.send(message);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(lanes: usize) -> (Vec<mpsc::Sender<Message<u32>>>, InputPort<u32>) {
        let (senders, receivers) = (0..lanes).map(|_| mpsc::channel(8)).unzip();
        (senders, InputPort::new(receivers))
    }

    async fn send(sender: &mpsc::Sender<Message<u32>>, messages: impl IntoIterator<Item = Message<u32>>) {
        for message in messages {
            sender.send(message).await.expect("room");
        }
    }

    fn control(control: Control) -> Message<u32> {
        Message::Control(control)
    }

    fn batch(item: u32) -> Message<u32> {
        Message::Batch(vec![item].into())
    }

    async fn drain(port: &mut InputPort<u32>) -> Vec<String> {
        let mut seen = Vec::new();
        while let Poll::Ready(message) = futures::poll!(std::pin::pin!(port.next())) {
            seen.push(match message.expect("no lane is lost") {
                Message::Batch(batch) => format!("{:?}", batch.items),
                Message::Control(control) => format!("{control:?}"),
            });
        }
        seen
    }

    #[tokio::test]
    async fn holds_a_lane_until_the_barrier_came_from_all() {
        let (senders, mut port) = port(2);
        let barrier = Barrier { id: 1 };
        send(&senders[0], [batch(1), control(Control::Barrier(barrier)), batch(2)]).await;
        send(&senders[1], [batch(3)]).await;
        assert_eq!(drain(&mut port).await, ["[1]", "[3]"]);
        send(&senders[1], [batch(4), control(Control::Barrier(barrier)), batch(5)]).await;
        let seen = drain(&mut port).await;
        assert_eq!(seen[..2], ["[4]", "Barrier(Barrier { id: 1 })"]);
        assert_eq!(seen.len(), 4);
    }

    #[tokio::test]
    async fn counts_an_ended_lane_as_aligned() {
        let (senders, mut port) = port(2);
        send(&senders[0], [control(Control::Barrier(Barrier { id: 1 }))]).await;
        send(&senders[1], [control(Control::End)]).await;
        assert_eq!(drain(&mut port).await, ["Barrier(Barrier { id: 1 })"]);
        send(&senders[0], [control(Control::End)]).await;
        assert_eq!(drain(&mut port).await, ["End"]);
    }

    #[tokio::test]
    async fn follows_the_slowest_lane_that_is_not_idle() {
        let (senders, mut port) = port(2);
        let watermark = |millis| control(Control::Watermark(Timestamp::from_millis(millis)));
        send(&senders[0], [watermark(10)]).await;
        assert!(drain(&mut port).await.is_empty());
        send(&senders[1], [watermark(5)]).await;
        assert_eq!(drain(&mut port).await, ["Watermark(1970-01-01T00:00:00.005Z)"]);
        send(&senders[1], [control(Control::Idle)]).await;
        assert_eq!(drain(&mut port).await, ["Watermark(1970-01-01T00:00:00.010Z)"]);
    }

    #[tokio::test]
    async fn a_stopped_lane_holds_event_time_back() {
        let (senders, mut port) = port(2);
        let watermark = |at| control(Control::Watermark(at));
        let millis = Timestamp::from_millis;
        send(&senders[1], [watermark(millis(900))]).await;
        send(&senders[0], [watermark(millis(300)), control(Control::End)]).await;
        assert_eq!(drain(&mut port).await, ["Watermark(1970-01-01T00:00:00.300Z)"]);
        send(&senders[1], [control(Control::End)]).await;
        assert_eq!(drain(&mut port).await, ["End"]);
    }

    #[tokio::test]
    async fn a_lane_at_its_end_holds_nobody_back() {
        let (senders, mut port) = self::port(2);
        send(&senders[0], [control(Control::Watermark(Timestamp::MAX)), control(Control::End)]).await;
        send(&senders[1], [control(Control::Watermark(Timestamp::from_millis(5)))]).await;
        assert_eq!(drain(&mut port).await, ["Watermark(1970-01-01T00:00:00.005Z)"]);
    }

    #[tokio::test]
    async fn reports_an_upstream_that_vanished() {
        let (senders, mut port) = port(1);
        drop(senders);
        assert!(port.next().await.is_err());
    }
}
