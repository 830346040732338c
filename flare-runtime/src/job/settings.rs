//! Settings of a job, of an operator, of the dirty-data output.

use std::time::Duration;

use crate::config::settings;

settings! {
    /// Settings of a job: arguments of `#[flare_job]`, and the section `job`.
    pub struct JobSettings {
        /// Subtasks of every stage that says nothing else.
        parallelism: usize [from 1] = "1",
        /// Key groups that the keys of keyed streams spread over, and so the most subtasks that a keyed stage can ever
        /// have. It belongs to the state: a job that is to be resumed must not change it.
        max_parallelism: usize [from 1 to 32768] = "128",
        /// Time between checkpoints, after which sources commit their positions; `0s` for one at the end only.
        checkpoint: Duration = "10s",
        /// How long a record may wait for a fuller batch between two stages.
        flush: Duration = "10ms",
        /// Records in a full batch.
        batch: usize [from 1] = "1024",
        /// Batches that the channel between two subtasks holds.
        buffer: usize [from 1] = "8",
        /// How long a stop may take to drain the job before it is cut off.
        drain_timeout: Duration [above "0s"] = "30s",
    }
}

settings! {
    /// Settings of one operator: the section `operator.ID`.
    pub struct OperatorSettings {
        /// Subtasks of the operator's stage; the default is the job's.
        parallelism: Option<usize> [from 1],
    }
}

settings! {
    /// How much dirt a job bears: in the section `dirty`, beside the settings of the sink that takes dirty records.
    pub struct DirtySettings {
        /// Dirty records within the window beyond which the job fails; without it there is no such limit.
        budget_count: Option<u64>,
        /// Part of dirty records among those read within the window, beyond which the job fails; judged from 100 records
        /// on, and at the end of input.
        budget_ratio: Option<f64> [from 0 to 1],
        /// The window of the two.
        budget_window: Duration [above "0s"] = "1m",
    }
}
