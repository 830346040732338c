//! Rows to be written together.

use std::cmp::Ordering;

/// Keys with their values, or without where they are forgotten. One piece of memory holds the bytes of all.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    start: usize,
    value: usize,
    end: usize,
    is_kept: bool,
}

impl Row {
    fn key(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start..self.value]
    }
}

impl Batch {
    /// Ends a row that began at `start`; its value begins at `value`, if it is not forgotten.
    pub(super) fn add(&mut self, start: usize, value: Option<usize>) {
        let end = self.bytes.len();
        self.rows.push(Row { start, value: value.unwrap_or(end), end, is_kept: value.is_some() });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Number of bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn sort(&mut self) {
        let bytes = &self.bytes;
        let order = |left: &Row, right: &Row| -> Ordering { left.key(bytes).cmp(right.key(bytes)) };
        self.rows.sort_unstable_by(order);
    }

    /// Keys and values.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let row = |row: &Row| (row.key(&self.bytes), row.is_kept.then(|| &self.bytes[row.value..row.end]));
        self.rows.iter().map(row)
    }
}
