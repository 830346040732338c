//! The states of one operator's subtask, and who may look at them when.

use std::any::Any;
use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backend::Backend;
use super::codec::Shape;
use super::handles::{AggregatingState, ListState, MapState, ReducingState, ValueState};
use super::snapshot::{SnapshotReader, SnapshotWriter};
use super::table::Table;
use super::ttl::Ttl;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Key, Timestamp};

/// Keys that are looked at for an end of their time with every record.
const SWEPT_AT_A_TIME: usize = 4;

/// How the names of states begin that are no user's.
const RESERVED: &str = "flare.";

/// The states of all keys of one subtask.
pub struct States<K> {
    backend: Backend,
    names: BTreeMap<String, usize>,
    tables: Vec<Box<dyn AnyTable>>,
    /// Those with a TTL.
    ageing: Vec<usize>,
    /// The key whose states are seen.
    key: Option<K>,
    /// Processing time, by which states age.
    now: Timestamp,
}

/// A table of any type.
trait AnyTable: Send {
    fn as_any(&mut self) -> &mut dyn Any;
    fn sweep(&mut self, count: usize, now: Timestamp) -> Result<()>;
    fn snapshot(&mut self, name: &str, writer: &mut SnapshotWriter) -> Result<()>;
    fn restore(&mut self, name: &str, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()>;
}

impl<K: Key, V: Kept> AnyTable for Table<K, V> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn sweep(&mut self, count: usize, now: Timestamp) -> Result<()> {
        Self::sweep(self, count, now)
    }

    fn snapshot(&mut self, name: &str, writer: &mut SnapshotWriter) -> Result<()> {
        Self::snapshot(self, name, writer)
    }

    fn restore(&mut self, name: &str, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        Self::restore(self, name, reader, now)
    }
}

impl<K> Default for States<K> {
    fn default() -> Self {
        Self {
            backend: Backend::Memory,
            names: BTreeMap::new(),
            tables: Vec::new(),
            ageing: Vec::new(),
            key: None,
            now: Timestamp::MIN,
        }
    }
}

impl<K: Key> States<K> {
    /// No states yet, to be kept in `backend`.
    pub fn new(backend: Backend) -> Self {
        Self { backend, ..Self::default() }
    }

    /// Where an operator declares its states.
    pub fn declare(&mut self) -> Declare<'_, K> {
        Declare { states: self, ttl: None }
    }

    /// Goes on to a key, at this processing time.
    ///
    /// # Errors
    /// When the backend cannot forget what is over.
    pub fn select(&mut self, key: K, now: Timestamp) -> Result<()> {
        self.key = Some(key);
        self.now = now;
        self.ageing.iter().try_for_each(|index| self.tables[*index].sweep(SWEPT_AT_A_TIME, now))
    }

    /// Writes all states.
    ///
    /// # Errors
    /// When one cannot be read or written.
    pub fn snapshot(&mut self, writer: &mut SnapshotWriter) -> Result<()> {
        self.names.iter().try_for_each(|(name, index)| self.tables[*index].snapshot(name, writer))
    }

    /// Reads the states that were declared, at this processing time.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn restore(&mut self, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        self.names.iter().try_for_each(|(name, index)| self.tables[*index].restore(name, reader, now))
    }

    /// The key whose states are seen.
    ///
    /// # Panics
    /// Before the first [`States::select`].
    pub fn key(&self) -> &K {
        self.key.as_ref().expect("a key is selected before states are used")
    }

    /// The table behind a handle, the current key, and the processing time.
    pub(super) fn at<V: Kept>(&mut self, index: usize) -> (&mut Table<K, V>, &K, Timestamp) {
        let table = self.tables.get_mut(index).expect("a state is used that `open` has not declared");
        let table =
            table.as_any().downcast_mut().expect("a state is used with the operator that declared it");
        (table, self.key.as_ref().expect("a key is selected before states are used"), self.now)
    }
}

/// Something that a handle reaches its state through: the context of the function that is called for a record or a
/// timer.
pub trait Access {
    /// The type of keys.
    type Key: Key;

    /// The states of the current key.
    fn states(&mut self) -> &mut States<Self::Key>;
}

/// What a state can hold: any plain data that serde writes and reads.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept in a state",
    label = "this needs `Serialize` and `Deserialize`",
    note = "write `#[derive(Serialize, Deserialize)]` on `{Self}`"
)]
pub trait Kept: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<V: Serialize + DeserializeOwned + Send + 'static> Kept for V {}

/// Declares states, each by its name, which is what it is restored by.
pub struct Declare<'a, K> {
    states: &'a mut States<K>,
    ttl: Option<Ttl>,
}

impl<K: Key> Declare<'_, K> {
    /// How long the state that is declared by what this returns is remembered; without it for ever:
    /// `states.ttl(Ttl::after_write(hour)).value("latest")`.
    pub fn ttl(&mut self, ttl: Ttl) -> Declare<'_, K> {
        Declare { states: self.states, ttl: Some(ttl) }
    }

    /// One value a key.
    ///
    /// # Errors
    /// `Config` when the name is used twice, or the type has no [`Shape`] by which it could be read back.
    pub fn value<V: Kept>(&mut self, name: &str) -> Result<ValueState<V>> {
        self.table::<V>(name).map(ValueState::new)
    }

    /// A list a key. With a TTL the list lives and ends as a whole.
    ///
    /// # Errors
    /// `Config` when the name is used twice, or the type has no [`Shape`] by which it could be read back.
    pub fn list<V: Kept>(&mut self, name: &str) -> Result<ListState<V>> {
        self.table::<Vec<V>>(name).map(ListState::new)
    }

    /// A map a key. With a TTL the map lives and ends as a whole.
    ///
    /// # Errors
    /// `Config` when the name is used twice, or the type has no [`Shape`] by which it could be read back.
    pub fn map<N, V>(&mut self, name: &str) -> Result<MapState<N, V>>
    where
        N: Ord + Kept,
        V: Kept,
    {
        self.table::<BTreeMap<N, V>>(name).map(MapState::new)
    }

    /// One value a key, into which `reduce` merges every value that is added.
    ///
    /// # Errors
    /// `Config` when the name is used twice, or the type has no [`Shape`] by which it could be read back.
    pub fn reducing<V, F>(&mut self, name: &str, reduce: F) -> Result<ReducingState<V>>
    where
        V: Kept,
        F: Fn(&mut V, V) + Send + Sync + 'static,
    {
        self.table::<V>(name).map(|index| ReducingState::new(index, reduce))
    }

    /// One accumulator a key, into which `add` puts every value that is added.
    ///
    /// # Errors
    /// `Config` when the name is used twice, or the type has no [`Shape`] by which it could be read back.
    pub fn aggregating<A, V, F>(&mut self, name: &str, add: F) -> Result<AggregatingState<A, V>>
    where
        A: Default + Kept,
        F: Fn(&mut A, V) + Send + Sync + 'static,
    {
        self.table::<A>(name).map(|index| AggregatingState::new(index, add))
    }

    fn table<V: Kept>(&mut self, name: &str) -> Result<usize> {
        Shape::of::<V>().map_err(|error| {
            let message = "a state of this type could not be read back";
            Error::new(ErrorKind::Config, message).with("state", name).caused_by(error)
        })?;
        if name.starts_with(RESERVED) {
            let message =
                format!("names of states that begin with `{RESERVED}` are Flare's own; choose another");
            return Err(Error::new(ErrorKind::Config, message).with("state", name));
        }
        let index = self.states.tables.len();
        if self.states.names.insert(name.to_owned(), index).is_some() {
            let message = "two states of one operator have the same name; rename one";
            return Err(Error::new(ErrorKind::Config, message).with("state", name));
        }
        self.states.ageing.extend(self.ttl.map(|_| index));
        let table: Table<K, V> = self.states.backend.table(name, self.ttl)?;
        self.states.tables.push(Box::new(table));
        Ok(index)
    }
}
