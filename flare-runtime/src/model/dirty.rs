//! Records that were turned aside.

use serde::{Deserialize, Serialize};

use super::{Meta, Timestamp};
use crate::error::Error;

/// A record turned aside inside an operator, before the stage adds where that was.
#[derive(Debug)]
pub struct Reject {
    /// The record's bytes: as read, or as JSON where it had been parsed already.
    pub raw: Vec<u8>,
    /// Where and when the record was read.
    pub meta: Meta,
    /// Why.
    pub error: Error,
    /// How often it had been tried, at least 1.
    pub attempt: u32,
    /// Whether `raw` is only the record's beginning.
    pub truncated: bool,
}

impl Reject {
    /// A record refused at the first attempt.
    pub fn new(raw: impl Into<Vec<u8>>, meta: Meta, error: Error) -> Self {
        Self { raw: raw.into(), meta, error, attempt: 1, truncated: false }
    }
}

/// A record that could not be parsed, looked up, converted or written, with its cause and place.
///
/// This is what `job.dirty()` yields and what lands in the dirty-data sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirtyRecord {
    /// Name of the job.
    pub job: String,
    /// What was being done: `parse`, `convert`, `lookup` or `write`.
    pub stage: String,
    /// Id of the operator.
    pub operator: String,
    /// Number of the operator's subtask.
    pub subtask: u32,
    /// Kind of the error, for counting: `bad_record`, `timeout`, `unavailable`, …
    pub kind: String,
    /// The error and its causes, outermost first.
    pub causes: Vec<String>,
    /// Id of the source that read it; empty when unknown.
    #[serde(default)]
    pub source: String,
    /// Where the record was read: `topic/partition` or a file's path; empty when unknown.
    pub split: String,
    /// Offset or line number in the split; -1 when unknown.
    pub offset: i64,
    /// Event time, if the record had one.
    pub event_time: Option<Timestamp>,
    /// When it was turned aside.
    pub rejected_at: Timestamp,
    /// How often it had been tried, at least 1.
    pub attempt: u32,
    /// The record's bytes as text: as read, or as JSON where it had been parsed already. Bytes that are not UTF-8
    /// are in base64, with `raw_base64` set.
    pub raw: String,
    /// Whether `raw` is base64.
    pub raw_base64: bool,
    /// Whether `raw` is only the record's beginning, since the whole is too long.
    #[serde(default)]
    pub raw_truncated: bool,
}
