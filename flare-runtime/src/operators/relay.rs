//! A stage that only takes records from other stages: behind a union, a rebalance, a branch.

use async_trait::async_trait;

use crate::api::{Counter, Downstream, HostLink, InputPort, Subtask, until};
use crate::error::Result;
use crate::model::{Control, Message};

/// Moves records from its input through its fused operators.
pub struct Relay<T> {
    input: InputPort<T>,
    downstream: Downstream<T>,
    records_in: Counter,
}

impl<T: Send + 'static> Relay<T> {
    /// A relay between the two.
    pub fn new(input: InputPort<T>, downstream: Downstream<T>) -> Self {
        let cx = &downstream.cx;
        let records_in = cx.metrics().counter(&cx.subtask.operator.0, "records_in");
        Self { input, downstream, records_in }
    }

    /// Handles one message; `false` at the end of input.
    async fn step(&mut self, link: &HostLink, message: Message<T>) -> Result<bool> {
        match message {
            Message::Batch(batch) => {
                self.records_in.add(batch.len() as u64);
                self.downstream.batch(batch).await?;
            }
            Message::Control(Control::End) => {
                self.downstream.end(link).await?;
                return Ok(false);
            }
            Message::Control(control) => {
                self.downstream.control(control).await?;
                if let Control::Barrier(barrier) = control {
                    link.acknowledge(barrier, Default::default()).await;
                }
            }
        }
        Ok(true)
    }
}

#[async_trait]
impl<T: Send + 'static> Subtask for Relay<T> {
    async fn run(mut self: Box<Self>, link: HostLink) -> Result<()> {
        loop {
            let flush_at = self.downstream.flush_at();
            let message = tokio::select! {
                biased;
                message = self.input.next() => message?,
                () = until(flush_at) => {
                    self.downstream.flush().await?;
                    continue;
                }
            };
            if !self.step(&link, message).await? {
                return Ok(());
            }
        }
    }
}
