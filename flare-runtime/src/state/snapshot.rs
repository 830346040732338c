//! Between the states of a subtask and the bytes of its snapshot.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::{CodecError, Decoder, Shape, encode};
use super::states::Kept;
use crate::api::{OwnSnapshot, Restored, Snapshot, TableSnapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Key, KeyGroups, Timestamp};

/// Writes a subtask's snapshot.
pub struct SnapshotWriter {
    groups: KeyGroups,
    snapshot: Snapshot,
}

impl SnapshotWriter {
    /// An empty snapshot of keys that spread over `groups`.
    pub fn new(groups: KeyGroups) -> Self {
        Self { groups, snapshot: Snapshot::default() }
    }

    /// Begins the state `name`, whose entries are put by [`TableWriter::put`].
    ///
    /// # Errors
    /// When a type has no shape.
    pub fn table<K: Key, V: Kept>(&mut self, name: &str, timed: bool) -> Result<TableWriter<'_, K, V>> {
        let (key, value) = (shape::<K>(name)?, shape::<V>(name)?);
        let groups = self.groups;
        let empty = TableSnapshot { key, value, timed, groups: Default::default() };
        let table = self.snapshot.tables.entry(name.to_owned()).insert_entry(empty).into_mut();
        let (name, scratch) = (name.to_owned(), Vec::new());
        Ok(TableWriter { name, table, groups, scratch, is_verified: false, types: PhantomData })
    }

    /// Adds a value that belongs to no key.
    ///
    /// # Errors
    /// When it cannot be written so that it is read again.
    pub fn own<V: Kept>(&mut self, name: &str, value: &V) -> Result<()> {
        let mut bytes = Vec::new();
        encode(value, &mut bytes).map_err(|error| unwritable(name, error))?;
        let own = OwnSnapshot { shape: shape::<V>(name)?, value: bytes };
        self.snapshot.own.insert(name.to_owned(), own);
        Ok(())
    }

    /// The snapshot.
    pub fn finish(self) -> Snapshot {
        self.snapshot
    }
}

/// Writes the entries of one state, each to its key group.
pub struct TableWriter<'a, K, V> {
    name: String,
    table: &'a mut TableSnapshot,
    groups: KeyGroups,
    /// Kept for its memory.
    scratch: Vec<u8>,
    is_verified: bool,
    types: PhantomData<fn(K, V)>,
}

impl<K: Key, V: Kept> TableWriter<'_, K, V> {
    /// Adds an entry; `value` is a `V`, or borrowed parts that serde writes alike.
    ///
    /// # Errors
    /// When it cannot be written so that it is read again.
    pub fn put(&mut self, key: &K, touched: Timestamp, value: &impl Serialize) -> Result<()> {
        let group = u32::try_from(self.groups.of(key)).unwrap_or(u32::MAX);
        let Self { name, table, scratch, is_verified, .. } = self;
        let bytes = table.groups.entry(group).or_default();
        let failed = |error| unwritable(name, error).with("key", format!("{key:?}"));
        put(key, scratch, bytes).map_err(failed)?;
        if table.timed {
            bytes.extend_from_slice(&touched.as_millis().to_le_bytes());
        }
        put(value, scratch, bytes).map_err(failed)?;
        // What holds of the first value holds of its type.
        if !std::mem::replace(is_verified, true) {
            let decoder = own_decoder::<V>().map_err(|error| error.with("state", name.as_str()))?;
            decoder.verify(scratch).map_err(failed)?;
        }
        Ok(())
    }
}

/// Writes a value with its length before it; it stays in `scratch`, too.
fn put(value: &impl Serialize, scratch: &mut Vec<u8>, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
    scratch.clear();
    encode(value, scratch)?;
    let length = u32::try_from(scratch.len());
    let length = length.map_err(|_| CodecError::Unwritable("it takes more than 4 GiB".to_owned()))?;
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(scratch);
    Ok(())
}

fn own_decoder<V: DeserializeOwned>() -> Result<Decoder<V>> {
    Decoder::new(Shape::of::<V>().map_err(unshaped)?).map_err(unshaped)
}

fn shape<V: DeserializeOwned>(name: &str) -> Result<Vec<u8>> {
    let shape = Shape::of::<V>().map_err(|error| unshaped(error).with("state", name))?;
    Ok(postcard::to_allocvec(&shape).expect("a shape is plain lists and numbers, which always encode"))
}

fn unshaped(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Config, "a state of this type could not be read back").caused_by(error)
}

fn unwritable(name: &str, error: CodecError) -> Error {
    let failed = Error::new(ErrorKind::Failed, "a state cannot be written to the snapshot");
    failed.with("state", name).caused_by(error)
}

/// Reads what a subtask begins with.
pub struct SnapshotReader<'a> {
    restored: &'a Restored,
    groups: KeyGroups,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> SnapshotReader<'a> {
    /// Reads the subtask's part of `restored`.
    pub fn new(restored: &'a Restored, groups: KeyGroups) -> Self {
        Self { restored, groups, read: RefCell::default() }
    }

    /// Calls `each` with the entries of the state `name` that belong to this subtask, and the times of their last use
    /// where these were kept.
    ///
    /// # Errors
    /// `Config` when the stored type cannot be read as today's, with both; `Failed` when bytes are damaged.
    pub fn table<K: Key, V: Kept>(
        &self,
        name: &str,
        mut each: impl FnMut(K, Option<Timestamp>, V) -> Result<()>,
    ) -> Result<()> {
        self.read.borrow_mut().insert(name.to_owned());
        for part in &self.restored.parts {
            let Some(table) = part.tables.get(name) else { continue };
            let entries =
                Entries::<K, V>::new(table, self.groups).map_err(|error| error.with("state", name))?;
            for (group, bytes) in &table.groups {
                if self.restored.groups.contains(&(*group as usize)) {
                    let read = entries.read(*group, bytes, &mut each);
                    read.map_err(|error| error.with("state", name).with("key_group", group))?;
                }
            }
        }
        Ok(())
    }

    /// The values of this name that the earlier subtasks had.
    ///
    /// # Errors
    /// As [`SnapshotReader::table`].
    pub fn own<V: Kept>(&self, name: &str) -> Result<Vec<V>> {
        self.read.borrow_mut().insert(name.to_owned());
        let found = self.restored.parts.iter().filter_map(|part| part.own.get(name));
        let read = |own: &OwnSnapshot| {
            let value = decoder::<V>(&own.shape)?.decode(&own.value);
            value.map_err(damaged)
        };
        found.map(|own| read(own).map_err(|error| error.with("state", name))).collect()
    }

    /// Ends reading.
    ///
    /// # Errors
    /// `Config` when there are states that nobody has read and that may not be dropped.
    pub fn finish(self) -> Result<()> {
        if self.restored.drops_unread {
            return Ok(());
        }
        let read = self.read.into_inner();
        let parts = self.restored.parts.iter();
        let names = parts.flat_map(|part| part.tables.keys().chain(part.own.keys()));
        let unread: BTreeSet<_> = names.filter(|name| !read.contains(*name)).map(String::as_str).collect();
        if unread.is_empty() {
            return Ok(());
        }
        let message = "the snapshot holds states that the operator declares no more";
        let error = Error::new(ErrorKind::Config, message);
        let unread = unread.into_iter().collect::<Vec<_>>().join(", ");
        Err(error.with("states", unread).with_remedy("declare them again, or allow that state is dropped"))
    }
}

/// Reads the entries of one stored state.
pub(crate) struct Entries<K, V> {
    keys: Decoder<K>,
    values: Decoder<V>,
    timed: bool,
    groups: KeyGroups,
}

impl<K: Key, V: DeserializeOwned> Entries<K, V> {
    pub(crate) fn new(table: &TableSnapshot, groups: KeyGroups) -> Result<Self> {
        let keys = decoder(&table.key).map_err(|error| error.with("part", "key"))?;
        Ok(Self { keys, values: decoder(&table.value)?, timed: table.timed, groups })
    }

    pub(crate) fn read(
        &self,
        group: u32,
        mut bytes: &[u8],
        each: &mut impl FnMut(K, Option<Timestamp>, V) -> Result<()>,
    ) -> Result<()> {
        while !bytes.is_empty() {
            let key = self.keys.decode(take(&mut bytes)?).map_err(damaged)?;
            if self.groups.of(&key) != group as usize {
                let message = "a key of the snapshot belongs to another key group today: the type of keys, or its \
                               hash, or `max_parallelism` has changed";
                let error = Error::new(ErrorKind::Config, message).with("key", format!("{key:?}"));
                return Err(error.with("key_group_today", self.groups.of(&key)));
            }
            let touched = if self.timed { Some(moment(&mut bytes)?) } else { None };
            let value = self.values.decode(take(&mut bytes)?).map_err(damaged)?;
            each(key, touched, value)?;
        }
        Ok(())
    }
}

fn decoder<V: DeserializeOwned>(shape: &[u8]) -> Result<Decoder<V>> {
    let stored: Shape = postcard::from_bytes(shape).map_err(damaged)?;
    Decoder::new(stored).map_err(|mismatch| {
        let message = "a state of the snapshot cannot be read as its type of today";
        Error::new(ErrorKind::Config, message).caused_by(mismatch).with_remedy(
            "a new field must be an `Option` or have `#[serde(default)]`, a renamed one an `#[serde(alias = \"old\")]`",
        )
    })
}

fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Failed, "a state of the snapshot is damaged").caused_by(error)
}

/// Takes a value with its length before it.
fn take<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(torn)?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(torn)?;
    *bytes = rest;
    Ok(value)
}

fn moment(bytes: &mut &[u8]) -> Result<Timestamp> {
    let (millis, rest) = bytes.split_first_chunk::<8>().ok_or_else(torn)?;
    *bytes = rest;
    Ok(Timestamp::from_millis(i64::from_le_bytes(*millis)))
}

fn torn() -> Error {
    Error::new(ErrorKind::Failed, "a state of the snapshot is damaged: it ends too early")
}
