//! A job's whole state at one barrier, and its file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::api::{Restored, Snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Key, KeyGroups, Timestamp};
use crate::state::{EVENT_TIMERS, Kept, PROCESSING_TIMERS, SnapshotReader};

/// How a savepoint's file begins.
const MAGIC: &[u8; 8] = b"FLARE-SP";

/// Written by this version; others are refused.
const VERSION: u32 = 1;

/// Magic, version, length and checksum.
const HEADER: usize = MAGIC.len() + 4 + 8 + 4;

/// All that a job remembered when a barrier had passed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Savepoint {
    /// Name of the job.
    pub job: String,
    /// Number of the barrier.
    pub barrier: u64,
    /// When the last subtask had answered, in processing time.
    pub taken_at: Timestamp,
    /// The number of key groups.
    pub max_parallelism: usize,
    /// The snapshots of each operator's subtasks, in their order.
    pub operators: BTreeMap<String, Vec<Arc<Snapshot>>>,
}

impl Savepoint {
    /// The values of a keyed state, with their keys, in the order of the keys. Empty where the operator has none.
    ///
    /// What a user's operator declares has the name given there. Flare's own operators: `result` holds the accumulator
    /// of `count`, `sum`, `aggregate`, and the record of `reduce`; `seen` of `deduplicate`; `top` of `top_n`.
    ///
    /// # Errors
    /// `Config` when there is no such operator, or keys or values are of other types.
    pub fn entries<K: Key, V: Kept>(&self, operator: &str, state: &str) -> Result<Vec<(K, V)>> {
        let mut entries = Vec::new();
        self.read(operator, |reader| {
            reader.table(state, |key: K, _, value: V| {
                entries.push((key, value));
                Ok(())
            })
        })?;
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(entries)
    }

    /// The value of a keyed state for one key.
    ///
    /// # Errors
    /// As [`Savepoint::entries`].
    pub fn value<K: Key, V: Kept>(&self, operator: &str, state: &str, key: &K) -> Result<Option<V>> {
        let mut found = None;
        self.read(operator, |reader| {
            reader.table(state, |known: K, _, value| {
                found = if known == *key { Some(value) } else { found.take() };
                Ok(())
            })
        })?;
        Ok(found)
    }

    /// The timers of event time that an operator has set, by time and key.
    ///
    /// # Errors
    /// As [`Savepoint::entries`].
    pub fn timers<K: Key>(&self, operator: &str) -> Result<Vec<(Timestamp, K)>> {
        self.timers_of(operator, EVENT_TIMERS)
    }

    /// The timers of processing time that an operator has set, by time and key.
    ///
    /// # Errors
    /// As [`Savepoint::entries`].
    pub fn processing_timers<K: Key>(&self, operator: &str) -> Result<Vec<(Timestamp, K)>> {
        self.timers_of(operator, PROCESSING_TIMERS)
    }

    fn timers_of<K: Key>(&self, operator: &str, name: &str) -> Result<Vec<(Timestamp, K)>> {
        let timers = self.entries::<K, Timestamp>(operator, name)?.into_iter();
        let mut timers: Vec<_> = timers.map(|(key, at)| (at, key)).collect();
        timers.sort();
        Ok(timers)
    }

    /// Reads all subtasks of an operator as one.
    fn read(&self, operator: &str, read: impl FnOnce(&SnapshotReader<'_>) -> Result<()>) -> Result<()> {
        let parts = self.operators.get(operator).ok_or_else(|| {
            let operators = self.operators.keys().cloned().collect::<Vec<_>>().join(", ");
            let error = Error::new(ErrorKind::Config, "the savepoint has no such operator");
            error.with("operator", operator).with("operators", operators)
        })?;
        let groups = 0..self.max_parallelism;
        let restored = Restored { parts: parts.clone(), groups, drops_unread: true };
        let reader = SnapshotReader::new(&restored, KeyGroups { count: self.max_parallelism });
        read(&reader).map_err(|error| error.with("operator", operator))
    }

    /// The savepoint as bytes, with version, length and checksum.
    pub fn to_bytes(&self) -> Vec<u8> {
        let body = postcard::to_allocvec(self).expect("a savepoint is plain data");
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads what [`Savepoint::to_bytes`] gave.
    ///
    /// # Errors
    /// `Failed` when the bytes are foreign, torn or damaged, or of another version of Flare's format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let foreign = || Error::new(ErrorKind::Failed, "this is no savepoint of Flare");
        let torn = || Error::new(ErrorKind::Failed, "the savepoint is torn: it ends too early");
        let bytes = bytes.strip_prefix(MAGIC).ok_or_else(foreign)?;
        let (version, bytes) = number::<4>(bytes).ok_or_else(torn)?;
        let version = u32::from_le_bytes(version);
        if version != VERSION {
            let error =
                Error::new(ErrorKind::Failed, "the savepoint has a format that this version cannot read");
            return Err(error.with("format", version).with("expected", VERSION));
        }
        let (length, bytes) = number::<8>(bytes).ok_or_else(torn)?;
        let (checksum, body) = number::<4>(bytes).ok_or_else(torn)?;
        let expected = u64::from_le_bytes(length);
        if (body.len() as u64) < expected {
            return Err(torn().with("bytes", body.len()).with("expected", expected));
        }
        if body.len() as u64 != expected || crc32fast::hash(body) != u32::from_le_bytes(checksum) {
            return Err(Error::new(
                ErrorKind::Failed,
                "the savepoint is damaged: its checksum is another one",
            ));
        }
        decode(body)
    }

    /// Writes the savepoint into a file, which is there whole or not at all.
    ///
    /// # Errors
    /// `Failed` when it cannot be written.
    pub fn save(&self, file: impl AsRef<Path>) -> Result<()> {
        let file = file.as_ref();
        let failed = |error| {
            let failed = Error::new(ErrorKind::Failed, "the savepoint cannot be written");
            failed.with("file", file.display()).caused_by(error)
        };
        if let Some(directory) = file.parent() {
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        let unfinished = file.with_extension("unfinished");
        std::fs::write(&unfinished, self.to_bytes()).map_err(failed)?;
        std::fs::rename(&unfinished, file).map_err(failed)
    }

    /// Reads a savepoint from its file.
    ///
    /// # Errors
    /// `Failed` when it cannot be read, and as [`Savepoint::from_bytes`].
    pub fn load(file: impl AsRef<Path>) -> Result<Self> {
        let file = file.as_ref();
        let read = std::fs::read(file);
        let read = read
            .map_err(|error| Error::new(ErrorKind::Failed, "the savepoint cannot be read").caused_by(error));
        read.and_then(|bytes| Self::from_bytes(&bytes)).map_err(|error| error.with("file", file.display()))
    }
}

fn number<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk::<N>().map(|(number, rest)| (*number, rest))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    postcard::from_bytes(body)
        .map_err(|error| Error::new(ErrorKind::Failed, "the savepoint is damaged").caused_by(error))
}
