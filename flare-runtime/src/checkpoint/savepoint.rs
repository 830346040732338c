//! A job's whole state at one barrier, and its file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
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
    /// of `count`, `sum`, `aggregate`, and the record of `reduce`; `seen` of `deduplicate`; `top` of `top_n`;
    /// `windows` the windows that are open, and `records` those that wait in a join, each in a form of its own.
    ///
    /// # Errors
    /// `Config` when there is no such operator, or keys or values are of other types.
    pub fn entries<K: Key, V: Kept>(&self, operator: &str, state: &str) -> Result<Vec<(K, V)>> {
        self.check(operator, state)?;
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
        self.check(operator, state)?;
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

    /// The values of this name that belong to no key, of each subtask.
    #[cfg(feature = "test")]
    pub(crate) fn own<V: Kept>(&self, operator: &str, name: &str) -> Result<Vec<V>> {
        let mut values = Vec::new();
        self.read(operator, |reader| {
            values = reader.own(name)?;
            Ok(())
        })?;
        Ok(values)
    }

    fn timers_of<K: Key>(&self, operator: &str, name: &str) -> Result<Vec<(Timestamp, K)>> {
        let timers = self.entries::<K, Timestamp>(operator, name)?.into_iter();
        let mut timers: Vec<_> = timers.map(|(key, at)| (at, key)).collect();
        timers.sort();
        Ok(timers)
    }

    /// Refuses the name of a state that the operator does not have.
    fn check(&self, operator: &str, state: &str) -> Result<()> {
        let Some(parts) = self.operators.get(operator) else { return Ok(()) };
        let names: BTreeSet<_> =
            parts.iter().flat_map(|part| part.tables.keys()).map(String::as_str).collect();
        if names.contains(state) {
            return Ok(());
        }
        let error =
            Error::new(ErrorKind::Config, "the operator has no such state").with("operator", operator);
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        Err(error.with("state", state).with("states", names))
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
        let mut unfinished = file.as_os_str().to_owned();
        unfinished.push(".unfinished");
        // Else the name could be there before the bytes when the machine loses power.
        let written = File::create(&unfinished)
            .and_then(|mut open| open.write_all(&self.to_bytes()).and_then(|()| open.sync_all()));
        written.and_then(|()| std::fs::rename(&unfinished, file)).map_err(failed)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checkpoint::Restore;
    use crate::model::{OperatorId, SubtaskId};
    use crate::state::{SnapshotWriter, Table, Timers, Ttl};

    const GROUPS: KeyGroups = KeyGroups { count: 8 };

    fn savepoint() -> Savepoint {
        let mut writer = SnapshotWriter::new(GROUPS);
        let mut words = Table::new(Some(Ttl::after_write(std::time::Duration::from_secs(1))));
        let mut timers = Timers::default();
        for key in 0..20_u64 {
            let lists = BTreeMap::from([(format!("word {key}"), vec![Some(key)])]);
            words.insert(&key, lists, Timestamp::from_millis(5)).expect("memory");
            timers.set(Timestamp::from_millis(9), &key);
        }
        words.snapshot("words", &mut writer).expect("plain data");
        timers.snapshot(EVENT_TIMERS, &mut writer).expect("plain data");
        writer.own("shared", &vec!["a".to_owned()]).expect("plain data");
        let operators = [("words-1".to_owned(), vec![Arc::new(writer.finish()), Arc::default()])].into();
        let taken_at = Timestamp::from_millis(7);
        Savepoint { job: "job".to_owned(), barrier: 3, taken_at, max_parallelism: GROUPS.count, operators }
    }

    /// The bytes with a checksum that fits, as a foreign program could have written them.
    fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
        let length = (bytes.len() - HEADER) as u64;
        let checksum = crc32fast::hash(&bytes[HEADER..]);
        bytes[MAGIC.len() + 4..HEADER - 4].copy_from_slice(&length.to_le_bytes());
        bytes[HEADER - 4..HEADER].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Begins with all that the bytes may hold.
    fn restore(bytes: &[u8]) -> Result<()> {
        let savepoint = Arc::new(Savepoint::from_bytes(bytes)?);
        let _ = savepoint.timers::<u64>("words-1");
        let restore = Restore { savepoint, drops_unread: false };
        restore.check(&["words-1"].into(), GROUPS)?;
        let subtask = SubtaskId { operator: OperatorId::from("words-1"), index: 0 };
        let Some(restored) = restore.part(&subtask, 1) else { return Ok(()) };
        let reader = SnapshotReader::new(&restored, GROUPS);
        let ttl = Ttl::after_write(std::time::Duration::from_secs(1));
        let mut words = Table::<u64, BTreeMap<String, Vec<Option<u64>>>>::new(Some(ttl));
        words.restore("words", &reader, Timestamp::MIN)?;
        Timers::<u64>::default().restore(EVENT_TIMERS, &reader)?;
        reader.own::<Vec<String>>("shared")?;
        reader.finish()
    }

    /// Whether an error says that a savepoint, or a state of one, is what is wrong.
    fn is_named(error: &Error) -> bool {
        let report = error.report();
        report.contains("savepoint") || report.contains("snapshot")
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_always_an_error(at in any::<prop::sample::Index>(), bit in 0..8, cut in any::<bool>()) {
            let mut bytes = savepoint().to_bytes();
            prop_assert!(restore(&bytes).is_ok());
            let at = at.index(bytes.len());
            match cut {
                true => bytes.truncate(at),
                false => bytes[at] ^= 1_u8 << bit,
            }
            let error = restore(&bytes).expect_err("no savepoint any more");
            prop_assert!(is_named(&error), "{}", error.report());
        }

        #[test]
        fn foreign_bytes_never_panic(
            flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in proptest::option::of(any::<prop::sample::Index>()),
        ) {
            let mut bytes = savepoint().to_bytes();
            if let Some(cut) = cut {
                bytes.truncate(HEADER + cut.index(bytes.len() - HEADER));
            }
            let body = bytes.len() - HEADER;
            for (at, byte) in flips.iter().filter(|_| body > 0) {
                bytes[HEADER + at.index(body)] = *byte;
            }
            if let Err(error) = restore(&with_checksum(bytes)) {
                prop_assert!(is_named(&error), "{}", error.report());
            }
        }
    }

    #[test]
    fn another_number_of_key_groups_is_refused() {
        let restore = Restore { savepoint: Arc::new(savepoint()), drops_unread: true };
        let error = restore.check(&["words-1"].into(), KeyGroups { count: 9 }).expect_err("other groups");
        assert!(error.report().contains("max_parallelism") && is_named(&error), "{}", error.report());
    }

    #[test]
    fn a_key_of_another_group_is_refused() {
        let parts = savepoint().operators["words-1"].clone();
        let restored = Restored { parts, groups: 0..GROUPS.count, drops_unread: true };
        let reader = SnapshotReader::new(&restored, KeyGroups { count: 9 });
        let error = Timers::<u64>::default().restore(EVENT_TIMERS, &reader).expect_err("other groups");
        let report = error.report();
        assert!(report.contains("another key group") && report.contains(EVENT_TIMERS), "{report}");
    }

    #[test]
    fn a_state_that_nobody_reads_is_refused() {
        let parts = savepoint().operators["words-1"].clone();
        let restored = Restored { parts, groups: 0..GROUPS.count, drops_unread: false };
        let reader = SnapshotReader::new(&restored, GROUPS);
        reader.own::<Vec<String>>("shared").expect("it is there");
        let report = reader.finish().expect_err("two are unread").report();
        assert!(report.contains("words") && !report.contains("shared"), "{report}");
    }
}
