//! A connector's rows as typed values by key.

use std::hash::Hash;
use std::sync::Arc;

use ahash::AHashMap;
use async_trait::async_trait;

use crate::api::{Lookup, RowLookup};
use crate::error::Result;
use crate::model::{Row, Value};

/// Reads a connector's rows into `V` and matches them with their keys.
pub struct TypedRows<K, V> {
    rows: Arc<dyn RowLookup>,
    parts: fn(&K) -> Vec<Value>,
    read: fn(&Row) -> Result<V>,
    key: fn(&V) -> K,
}

impl<K, V> TypedRows<K, V> {
    /// `parts` takes a key apart for the connector, `read` reads a row, `key` gives a row's key.
    pub fn new(
        rows: Arc<dyn RowLookup>,
        parts: fn(&K) -> Vec<Value>,
        read: fn(&Row) -> Result<V>,
        key: fn(&V) -> K,
    ) -> Self {
        Self { rows, parts, read, key }
    }
}

impl<K: Hash + Eq, V> TypedRows<K, V> {
    async fn ask(&self, keys: &[K]) -> Result<Vec<Row>> {
        let parts: Vec<_> = keys.iter().map(self.parts).collect();
        self.rows.fetch(&parts).await
    }

    /// Whether the database may find more than equal keys.
    fn has_text(&self, key: &K) -> bool {
        (self.parts)(key).iter().any(|part| matches!(part, Value::Text(_)))
    }
}

#[async_trait]
impl<K, V> Lookup<K, V> for TypedRows<K, V>
where
    K: Hash + Eq + Clone + Send + Sync,
    V: Clone + Send + Sync,
{
    /// With several rows for a key, the first counts.
    ///
    /// A database may compare keys more loosely than Rust (upper and lower case, trailing blanks) and give a row whose
    /// key equals none that was asked for. Then keys without a row are asked for again one by one, where the answer
    /// is certain. Such a row may hide behind a key that it does equal; so texts without a row are asked for again
    /// without the keys that have one.
    async fn fetch(&self, keys: &[K]) -> Result<Vec<Option<V>>> {
        if let [_] = keys {
            let rows = self.ask(keys).await?;
            return Ok(vec![rows.first().map(self.read).transpose()?]);
        }
        let mut found = AHashMap::with_capacity(keys.len());
        for row in self.ask(keys).await? {
            let row = (self.read)(&row)?;
            found.entry((self.key)(&row)).or_insert(row);
        }
        let missing: Vec<K> = keys.iter().filter(|key| !found.contains_key(key)).cloned().collect();
        let matched = keys.len() - missing.len();
        let mut rest = Vec::with_capacity(missing.len());
        if found.len() > matched {
            for key in missing.chunks(1) {
                let rows = self.ask(key).await?;
                rest.push(rows.first().map(self.read).transpose()?);
            }
        } else if matched > 0 && missing.iter().any(|key| self.has_text(key)) {
            rest = self.fetch(&missing).await?;
        }
        let mut rest = rest.into_iter();
        let answer = |key| found.get(key).cloned().or_else(|| rest.next().flatten());
        Ok(keys.iter().map(answer).collect())
    }

    async fn load(&self) -> Result<Vec<(K, V)>> {
        let rows = self.rows.load().await?;
        let read = rows.iter().map(|row| {
            let row = (self.read)(row)?;
            Ok(((self.key)(&row), row))
        });
        read.collect()
    }

    fn concurrency(&self) -> usize {
        self.rows.concurrency()
    }

    fn max_batch(&self) -> usize {
        self.rows.max_batch()
    }
}
