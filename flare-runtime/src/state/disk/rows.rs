//! A table's keys and values as bytes in the tree.
//!
//! A key is the table's number (4 bytes), the key group (2 bytes), both with the highest byte first, and the encoded
//! key; so a scan goes by key group.

use std::ops::Bound;
use std::sync::Arc;

use lsm_tree::KvPair;

use super::batch::Batch;
use super::store::DiskStore;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Key, KeyGroups};
use crate::state::Kept;
use crate::state::codec::{CodecError, Decoder, Shape, encode};

/// Bytes before the encoded key.
pub(super) const PREFIX: usize = 6;

/// What the tree takes as a key.
const LONGEST: usize = u16::MAX as usize;

/// Reads keys and values.
pub(super) struct Codec<K, V> {
    keys: Decoder<K>,
    values: Decoder<V>,
}

impl<K: Key, V: Kept> Codec<K, V> {
    pub(super) fn new() -> Result<Self> {
        let unreadable = |error: crate::error::BoxError| {
            Error::new(ErrorKind::Config, "a state of this type could not be read back").caused_by(error)
        };
        let keys = Shape::of::<K>().map_err(|error| unreadable(error.into()))?;
        let values = Shape::of::<V>().map_err(|error| unreadable(error.into()))?;
        Ok(Self {
            keys: Decoder::new(keys).map_err(|error| unreadable(error.into()))?,
            values: Decoder::new(values).map_err(|error| unreadable(error.into()))?,
        })
    }
}

/// The rows of one table.
pub(super) struct Rows<K, V> {
    store: DiskStore,
    codec: Arc<Codec<K, V>>,
    name: Box<str>,
    groups: KeyGroups,
    /// Under which rows are on disk; without it there is none.
    number: Option<u32>,
    /// For one key or value.
    bytes: Vec<u8>,
}

impl<K: Key, V: Kept> Rows<K, V> {
    pub(super) fn new(store: DiskStore, codec: Arc<Codec<K, V>>, name: &str, groups: KeyGroups) -> Self {
        Self { store, codec, name: name.into(), groups, number: None, bytes: Vec::new() }
    }

    /// Whether there may be rows on disk.
    pub(super) fn is_on_disk(&self) -> bool {
        self.number.is_some()
    }

    /// A value that is on disk.
    pub(super) fn read(&mut self, key: &K) -> Result<Option<V>> {
        let Some(number) = self.number else { return Ok(None) };
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let value = self.append_key(&mut bytes, number, key).and_then(|()| self.read_bytes(&bytes));
        self.bytes = bytes;
        value
    }

    fn read_bytes(&self, key: &[u8]) -> Result<Option<V>> {
        let found = self.store.get(key).map_err(|error| self.named(error))?;
        found.map(|value| self.value(key, &value)).transpose()
    }

    /// The number of bytes that a value takes.
    pub(super) fn measure<T: serde::Serialize>(&mut self, value: &T) -> Result<usize> {
        self.bytes.clear();
        encode(value, &mut self.bytes).map_err(|error| unwritable(&self.name, error))?;
        Ok(self.bytes.len())
    }

    /// Writes values, and tombstones where there is none.
    pub(super) fn write<'a>(&mut self, entries: impl Iterator<Item = (&'a K, Option<&'a V>)>) -> Result<()> {
        let mut entries = entries.peekable();
        if entries.peek().is_none() {
            return Ok(());
        }
        let number = *self.number.get_or_insert_with(|| self.store.begin());
        let mut batch = Batch::default();
        for (key, value) in entries {
            self.add(&mut batch, number, (key, value))?;
        }
        self.store.write(batch).map_err(|error| self.named(error))
    }

    fn add(&self, batch: &mut Batch, number: u32, (key, value): (&K, Option<&V>)) -> Result<()> {
        let start = batch.len();
        self.append_key(&mut batch.bytes, number, key)?;
        let at = batch.len();
        if let Some(value) = value {
            encode(value, &mut batch.bytes).map_err(|error| unwritable(&self.name, error))?;
            if batch.is_empty() {
                // What does not come back as it was is found before it matters.
                let verified = self.codec.values.verify(&batch.bytes[at..]);
                verified.map_err(|error| unwritable(&self.name, error))?;
            }
        }
        batch.add(start, value.map(|_| at));
        Ok(())
    }

    /// Writes a key behind what is in `bytes`, as if the table had the number 0 when it has none.
    pub(super) fn append(&self, bytes: &mut Vec<u8>, key: &K) -> Result<()> {
        self.append_key(bytes, self.number.unwrap_or_default(), key)
    }

    fn append_key(&self, bytes: &mut Vec<u8>, number: u32, key: &K) -> Result<()> {
        let start = bytes.len();
        let group = u16::try_from(self.groups.of(key)).expect("key groups are at most 32768");
        bytes.extend(number.to_be_bytes());
        bytes.extend(group.to_be_bytes());
        encode(key, bytes).map_err(|error| unwritable(&self.name, error))?;
        if bytes.len() - start > LONGEST {
            let message = "a key is too long for states on disk";
            return Err(Error::new(ErrorKind::Unsupported, message)
                .with("state", &self.name)
                .with("bytes", bytes.len() - start));
        }
        Ok(())
    }

    /// All rows on disk behind the key `after`, or from the first.
    pub(super) fn scan(&self, after: Option<Vec<u8>>) -> impl Iterator<Item = Result<KvPair>> + '_ {
        let rows = self.number.map(|number| {
            let first = Bound::Included(number.to_be_bytes().to_vec());
            let from = after.map_or(first, Bound::Excluded);
            let to = number.checked_add(1).map(|next| next.to_be_bytes().to_vec());
            self.store.scan(from, to.map_or(Bound::Unbounded, Bound::Excluded))
        });
        rows.into_iter().flatten().map(|row| row.map_err(|error| self.named(error)))
    }

    /// The key in a row's key.
    pub(super) fn key(&self, bytes: &[u8]) -> Result<K> {
        let key = bytes.get(PREFIX..).unwrap_or_default();
        self.codec.keys.decode(key).map_err(|error| self.damaged(bytes, error))
    }

    /// The value of a row.
    pub(super) fn value(&self, key: &[u8], bytes: &[u8]) -> Result<V> {
        self.codec.values.decode(bytes).map_err(|error| self.damaged(key, error))
    }

    /// Forgets what is on disk.
    pub(super) fn clear(&mut self) {
        if let Some(number) = self.number.take() {
            self.store.end(number);
        }
    }

    fn named(&self, error: Error) -> Error {
        error.with("state", &self.name)
    }

    #[cold]
    fn damaged(&self, key: &[u8], error: CodecError) -> Error {
        let row = key.get(PREFIX..).unwrap_or_default();
        let row = self.codec.keys.decode(row).map_or_else(|_| format!("{key:x?}"), |key| format!("{key:?}"));
        let damaged = Error::new(ErrorKind::Failed, "a state on disk is damaged").with("state", &self.name);
        damaged.with("key", row).caused_by(error)
    }
}

impl<K, V> Drop for Rows<K, V> {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            self.store.end(number);
        }
    }
}

#[cold]
fn unwritable(name: &str, error: CodecError) -> Error {
    Error::new(ErrorKind::User, "a state cannot be kept on disk").with("state", name).caused_by(error)
}

/// The key group in a row's key.
pub(super) fn group(key: &[u8]) -> usize {
    key.get(4..PREFIX)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, |group| u16::from_be_bytes(group).into())
}
