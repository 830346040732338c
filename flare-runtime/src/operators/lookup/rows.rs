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
    /// key equals none that was asked for. Such keys are asked for again one by one, where the answer is certain.
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
        let matched = keys.iter().filter(|key| found.contains_key(key)).count();
        let strangers = found.len() > matched;
        let mut answers = Vec::with_capacity(keys.len());
        for key in keys {
            let row = match found.get(key) {
                None if strangers => {
                    let rows = self.ask(std::slice::from_ref(key)).await?;
                    rows.first().map(self.read).transpose()?
                }
                row => row.cloned(),
            };
            answers.push(row);
        }
        Ok(answers)
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
