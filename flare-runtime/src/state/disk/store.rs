//! The tree that holds all states of one subtask.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use lsm_tree::{AbstractTree, AnyTree, Guard, KvPair, SequenceNumberCounter, Slice};

use super::DiskSettings;
use super::batch::Batch;
use super::directory::Directory;
use super::memory::{Memory, Share};
use super::numbers::Numbers;
use super::rows::{Codec, Rows};
use super::table::DiskTable;
use super::tree::{NEWEST, open};
use super::upkeep::Upkeep;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Key, KeyGroups};
use crate::state::Kept;

/// A file for a batch of fewer bytes is not worth its two calls of `fsync`.
const SMALL: u64 = 1 << 20;

/// So many small batches make a file.
const GATHERED: u64 = 8;

/// The states of one subtask on disk.
///
/// Its directory is its own: emptied when the store is opened, removed when the last clone and table are dropped.
#[derive(Clone)]
pub struct DiskStore(Arc<Inner>);

/// In the order in which they are dropped: first nobody works on the tree, then its files are closed, then removed.
struct Inner {
    upkeep: Upkeep,
    tree: AnyTree,
    seqno: SequenceNumberCounter,
    numbers: Arc<Numbers>,
    memory: Arc<Memory>,
    /// By the types of keys and values, because finding a codec takes longer than all else that a table needs.
    codecs: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    directory: Directory,
}

impl DiskStore {
    /// Opens the store `name`, which no two stores that are open in the same directory may share.
    ///
    /// # Errors
    /// `Config` when the directory cannot be written to, or is that of another open store.
    pub fn open(settings: &DiskSettings, name: &str) -> Result<Self> {
        let directory = Directory::take(&settings.directory, name)?;
        let (seqno, numbers) = (SequenceNumberCounter::default(), Arc::new(Numbers::default()));
        let tree = open(&directory.tree(), settings.block_cache, &numbers, &seqno);
        let tree = tree.map_err(|error| failed(&directory, error))?;
        let upkeep = Upkeep::start(tree.clone(), Arc::clone(&numbers), directory.path())?;
        let memory = Arc::new(Memory::new(settings.write_buffer));
        let codecs = Mutex::default();
        Ok(Self(Arc::new(Inner { upkeep, tree, seqno, numbers, memory, codecs, directory })))
    }

    /// A table without entries, for the state `name`.
    ///
    /// # Errors
    /// `Config` when the type of values cannot be read back.
    pub fn table<K: Key, V: Kept>(&self, name: &str, groups: KeyGroups) -> Result<DiskTable<K, V>> {
        let codec = self.codec().map_err(|error| error.with("state", name))?;
        Ok(DiskTable::new(
            Rows::new(self.clone(), codec, name, groups),
            Share::new(Arc::clone(&self.0.memory)),
        ))
    }

    fn codec<K: Key, V: Kept>(&self) -> Result<Arc<Codec<K, V>>> {
        let mut codecs = self.0.codecs.lock().unwrap_or_else(PoisonError::into_inner);
        let known = codecs.get(&TypeId::of::<(K, V)>()).map(Arc::clone);
        if let Some(codec) = known.and_then(|codec| codec.downcast().ok()) {
            return Ok(codec);
        }
        let codec = Arc::new(Codec::new()?);
        codecs.insert(TypeId::of::<(K, V)>(), Arc::<Codec<K, V>>::clone(&codec));
        Ok(codec)
    }

    /// The number for a table that begins to be on disk.
    pub(super) fn begin(&self) -> u32 {
        self.0.numbers.begin()
    }

    /// Forgets all rows under a number.
    pub(super) fn end(&self, number: u32) {
        self.0.numbers.end(number);
        self.0.upkeep.drop_files(number);
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Slice>> {
        self.0.tree.get(key, NEWEST).map_err(|error| self.failed(error))
    }

    /// Rows in the order of their keys, as they are now.
    pub(super) fn scan(
        &self,
        from: Bound<Vec<u8>>,
        to: Bound<Vec<u8>>,
    ) -> impl Iterator<Item = Result<KvPair>> + '_ {
        let rows = self.0.tree.range::<Vec<u8>, _>((from, to), NEWEST, None);
        rows.map(|row| row.into_inner().map_err(|error| self.failed(error)))
    }

    /// Writes rows, which are all or not at all seen when it fails.
    pub(super) fn write(&self, mut batch: Batch) -> Result<()> {
        let written = match (batch.len() as u64) < self.small() {
            true => self.gather(&batch),
            false => {
                batch.sort();
                self.ingest(&batch)
            }
        };
        written.map_err(|error| self.failed(error))?;
        drop(batch);
        self.0.upkeep.merge().map_err(|error| failed(&self.0.directory, error))
    }

    /// Bytes of a batch that is no longer small.
    fn small(&self) -> u64 {
        SMALL.min(self.0.memory.limit() / 8)
    }

    /// Puts a small batch to others in memory.
    fn gather(&self, batch: &Batch) -> lsm_tree::Result<()> {
        let tree = &self.0.tree;
        let mut gathered = 0;
        for (key, value) in batch.rows() {
            let seqno = self.0.seqno.next();
            (_, gathered) = match value {
                Some(value) => tree.insert(key, value, seqno),
                None => tree.remove(key, seqno),
            };
        }
        if gathered > GATHERED * self.small() {
            tree.rotate_memtable();
            tree.flush(&tree.get_flush_lock(), NEWEST)?;
        }
        Ok(())
    }

    /// Makes a file of a batch.
    fn ingest(&self, batch: &Batch) -> lsm_tree::Result<()> {
        let mut file = self.0.tree.ingestion()?;
        for (key, value) in batch.rows() {
            match value {
                Some(value) => file.write(key, value)?,
                None => file.write_tombstone(key)?,
            }
        }
        file.finish()
    }

    fn failed(&self, error: lsm_tree::Error) -> Error {
        failed(&self.0.directory, error)
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> &Memory {
        &self.0.memory
    }

    #[cfg(test)]
    pub(super) fn tree(&self) -> &AnyTree {
        &self.0.tree
    }
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore").field("directory", &self.0.directory.path()).finish_non_exhaustive()
    }
}

/// A full disk may have room again later; anything else is final.
fn failed(
    directory: &Directory,
    error: impl std::borrow::Borrow<lsm_tree::Error> + Into<crate::error::BoxError>,
) -> Error {
    let full =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let (kind, message) = match error.borrow() {
        lsm_tree::Error::Io(error) if full(error) => (ErrorKind::Unavailable, "the disk of states is full"),
        lsm_tree::Error::Io(_) => (ErrorKind::Failed, "states on disk cannot be read or written"),
        _ => (ErrorKind::Failed, "states on disk are damaged"),
    };
    Error::new(kind, message).with("directory", directory.path().display()).caused_by(error)
}
