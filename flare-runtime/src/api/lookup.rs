//! Lookups: what finds dimension rows by key.

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Row, Value};

/// What a request says of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched<V> {
    /// It has this row.
    Row(V),
    /// It has none.
    Missing,
    /// Its row may hide behind that of another key: it is asked for again without the keys that have one.
    Hidden,
    /// There were rows of no key that was asked for, one of which may be its own: it is asked for again alone.
    Unmatched,
}

impl<V> From<Option<V>> for Fetched<V> {
    fn from(row: Option<V>) -> Self {
        row.map_or(Self::Missing, Self::Row)
    }
}

/// Finds values by key: a user's own asynchronous function, or a connector behind its typed adapter.
#[async_trait]
pub trait Lookup<K, V>: Send + Sync {
    /// What there is for `keys`, in their order. What is said of a single key is final.
    ///
    /// # Errors
    /// `Unavailable` or `Timeout` when another try may succeed.
    ///
    /// # Cancel safety
    /// Must be cancel safe: a request that nobody waits for any more is dropped.
    async fn fetch(&self, keys: &[K]) -> Result<Vec<Fetched<V>>>;

    /// All keys with their values, for `preload`.
    ///
    /// # Errors
    /// `Unsupported` when the whole cannot be loaded.
    async fn load(&self) -> Result<Vec<(K, V)>> {
        Err(Error::new(ErrorKind::Unsupported, "this lookup cannot be preloaded"))
    }

    /// How many requests may run at the same time, all subtasks together.
    fn concurrency(&self) -> usize;

    /// How many keys one request may ask for.
    fn max_batch(&self) -> usize;
}

/// Finds rows by key: what a connector implements.
#[async_trait]
pub trait RowLookup: Send + Sync {
    /// What is asked, for reports: `mysql users`.
    fn describe(&self) -> String;

    /// Checks what can be checked without starting: that the query is valid.
    ///
    /// # Errors
    /// What would keep the lookup from working.
    async fn check(&self) -> Result<()>;

    /// The rows of `keys` in any order. Each key has its parts in the order of the `#[key]` fields.
    ///
    /// # Errors
    /// As [`Lookup::fetch`].
    ///
    /// # Cancel safety
    /// Must be cancel safe.
    async fn fetch(&self, keys: &[Vec<Value>]) -> Result<Vec<Row>>;

    /// All rows, for `preload`.
    ///
    /// # Errors
    /// `Unsupported` when the whole cannot be loaded.
    async fn load(&self) -> Result<Vec<Row>>;

    /// As [`Lookup::concurrency`].
    fn concurrency(&self) -> usize;

    /// As [`Lookup::max_batch`]; 1 when the query cannot be batched.
    fn max_batch(&self) -> usize;
}
