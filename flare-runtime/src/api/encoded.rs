//! Batches in the shape that sinks take: bytes or rows.

use std::ops::Range;

use serde_json::{Map, Value as Json};

use crate::model::{Batch, Meta, RowSchema, Value};

/// What the buffer and the retry in front of a sink need of a batch.
pub trait SinkBatch: Send + Sync + Sized {
    /// Number of records.
    fn len(&self) -> usize;

    /// Whether there is no record.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records of `range`, as a batch of their own.
    fn slice(&self, range: Range<usize>) -> Self;

    /// Record `index` as bytes for the dirty-data output.
    fn raw(&self, index: usize) -> Vec<u8>;

    /// Where and when record `index` was read.
    fn meta(&self, index: usize) -> Meta;

    /// Forgets all records, keeping the memory.
    fn clear(&mut self);
}

/// Records as bytes, one behind the other in one buffer.
#[derive(Clone, Debug, Default)]
pub struct ByteBatch {
    bytes: Vec<u8>,
    /// Where each record's key and payload end.
    ends: Vec<(usize, usize)>,
    metas: Vec<Meta>,
}

impl ByteBatch {
    /// Adds a record: `write` appends first the key, then the payload, and returns where the key ends.
    ///
    /// # Errors
    /// The writer's error; the batch is then as before.
    pub fn push_with<E>(
        &mut self,
        meta: Meta,
        write: impl FnOnce(&mut Vec<u8>) -> Result<usize, E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        match write(&mut self.bytes) {
            Ok(key_end) => {
                debug_assert!((start..=self.bytes.len()).contains(&key_end));
                self.ends.push((key_end, self.bytes.len()));
                self.metas.push(meta);
                Ok(())
            }
            Err(error) => {
                self.bytes.truncate(start);
                Err(error)
            }
        }
    }

    /// Adds a record.
    pub fn push(&mut self, key: &[u8], payload: &[u8], meta: Meta) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        self.ends.push((key_end, self.bytes.len()));
        self.metas.push(meta);
    }

    /// The key of record `index`; empty when it has none.
    pub fn key(&self, index: usize) -> &[u8] {
        &self.bytes[self.start(index)..self.ends[index].0]
    }

    /// The payload of record `index`.
    pub fn payload(&self, index: usize) -> &[u8] {
        &self.bytes[self.ends[index].0..self.ends[index].1]
    }

    /// Bytes of all keys and payloads.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before].1)
    }
}

impl SinkBatch for ByteBatch {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn slice(&self, range: Range<usize>) -> Self {
        let mut part = Self::default();
        for index in range {
            part.push(self.key(index), self.payload(index), self.metas[index]);
        }
        part
    }

    fn raw(&self, index: usize) -> Vec<u8> {
        self.payload(index).to_vec()
    }

    fn meta(&self, index: usize) -> Meta {
        self.metas[index]
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.metas.clear();
    }
}

/// Records as rows of one table.
#[derive(Clone, Debug)]
pub struct RowBatch {
    /// The columns.
    pub schema: RowSchema,
    /// The rows, each in the order of the schema's columns.
    pub rows: Vec<Vec<Value>>,
    /// Their metadata, row by row.
    pub metas: Vec<Meta>,
}

impl RowBatch {
    /// An empty batch.
    pub fn new(schema: RowSchema) -> Self {
        Self { schema, rows: Vec::new(), metas: Vec::new() }
    }

    /// The values of the key columns of row `index`.
    pub fn key(&self, index: usize) -> impl Iterator<Item = &Value> {
        let columns = self.schema.columns.iter().zip(&self.rows[index]);
        columns.filter(|(column, _)| column.key).map(|(_, value)| value)
    }
}

impl SinkBatch for RowBatch {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn slice(&self, range: Range<usize>) -> Self {
        Self {
            schema: self.schema,
            rows: self.rows[range.clone()].to_vec(),
            metas: self.metas[range].to_vec(),
        }
    }

    /// The row as a JSON object.
    fn raw(&self, index: usize) -> Vec<u8> {
        let columns = self.schema.columns.iter().zip(&self.rows[index]);
        let fields = columns.map(|(column, value)| {
            let json = match value {
                Value::Null => Json::Null,
                Value::Bool(flag) => Json::from(*flag),
                Value::Int(int) => Json::from(*int),
                Value::UInt(int) => Json::from(*int),
                Value::Float(float) => Json::from(*float),
                Value::Bytes(bytes) => Json::from(bytes.clone()),
                Value::Text(_) | Value::Time(_) => Json::from(value.to_string()),
            };
            (column.field.to_owned(), json)
        });
        Json::Object(fields.collect::<Map<_, _>>()).to_string().into_bytes()
    }

    fn meta(&self, index: usize) -> Meta {
        self.metas[index]
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.metas.clear();
    }
}

/// Typed records, for sinks that a user writes and for tests.
impl<T: Clone + Send + Sync + serde::Serialize> SinkBatch for Batch<T> {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn slice(&self, range: Range<usize>) -> Self {
        let metas = self.metas.get(range.clone()).map(<[Meta]>::to_vec);
        Self { items: self.items[range].to_vec(), metas: metas.unwrap_or_default() }
    }

    fn raw(&self, index: usize) -> Vec<u8> {
        serde_json::to_vec(&self.items[index]).unwrap_or_default()
    }

    fn meta(&self, index: usize) -> Meta {
        Self::meta(self, index)
    }

    fn clear(&mut self) {
        self.items.clear();
        self.metas.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_keys_and_payloads_apart() {
        let mut batch = ByteBatch::default();
        batch.push(b"k1", b"one", Meta::NONE);
        batch.push(b"", b"two", Meta::NONE);
        let failed = batch.push_with(Meta::NONE, |bytes| {
            bytes.extend_from_slice(b"half");
            Err("no")
        });
        assert_eq!(failed, Err("no"));
        batch.push(b"k3", b"", Meta::NONE);
        let part = batch.slice(1..3);
        assert_eq!((part.key(0), part.payload(0)), (&b""[..], &b"two"[..]));
        assert_eq!((part.key(1), part.payload(1)), (&b"k3"[..], &b""[..]));
    }
}
