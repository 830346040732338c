//! Dirty records as rows of a table.

use serde::Serialize;

use crate::api::{Encode, RowBatch};
use crate::error::Result;
use crate::model::{Column, DirtyRecord, Meta, Row, RowSchema, Timestamp, to_row};

macro_rules! row {
    ($($field:ident: $ty:ty),* $(,)?) => {
        /// A dirty record as a row: causes are one text, one cause a line.
        #[derive(Serialize)]
        struct DirtyRow<'a> { $($field: $ty),* }

        pub(super) const SCHEMA: RowSchema = RowSchema {
            columns: &[$(Column { field: stringify!($field), name: stringify!($field), key: false }),*],
        };
    };
}

row! {
    job: &'a str,
    stage: &'a str,
    operator: &'a str,
    subtask: u32,
    kind: &'a str,
    causes: String,
    source: &'a str,
    split: &'a str,
    offset: i64,
    event_time: Option<Timestamp>,
    rejected_at: Timestamp,
    attempt: u32,
    raw: &'a str,
    raw_base64: bool,
    raw_truncated: bool,
}

pub(super) struct AsRow;

impl Encode<DirtyRecord, RowBatch> for AsRow {
    fn encode(&mut self, record: &DirtyRecord, meta: Meta, batch: &mut RowBatch) -> Result<()> {
        let DirtyRecord { job, stage, operator, kind, source, split, raw, .. } = record;
        let DirtyRecord { subtask, offset, event_time, rejected_at, attempt, .. } = *record;
        let DirtyRecord { raw_base64, raw_truncated, .. } = *record;
        let causes = record.causes.join("\n");
        let row = DirtyRow {
            job,
            stage,
            operator,
            subtask,
            kind,
            causes,
            source,
            split,
            offset,
            event_time,
            rejected_at,
            attempt,
            raw,
            raw_base64,
            raw_truncated,
        };
        batch.rows.push(to_row(&row, &batch.schema)?);
        batch.metas.push(meta);
        Ok(())
    }
}

/// Reads a row that [`AsRow`] has written.
pub(super) fn from_row(row: &Row) -> Result<DirtyRecord> {
    let causes: String = row.get("causes")?;
    Ok(DirtyRecord {
        job: row.get("job")?,
        stage: row.get("stage")?,
        operator: row.get("operator")?,
        subtask: row.get("subtask")?,
        kind: row.get("kind")?,
        causes: causes.lines().map(str::to_owned).collect(),
        source: row.get("source")?,
        split: row.get("split")?,
        offset: row.get("offset")?,
        event_time: row.get("event_time")?,
        rejected_at: row.get("rejected_at")?,
        attempt: row.get("attempt")?,
        raw: row.get("raw")?,
        raw_base64: row.get("raw_base64")?,
        raw_truncated: row.get("raw_truncated")?,
    })
}
