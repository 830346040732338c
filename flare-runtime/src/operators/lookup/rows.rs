//! A connector's rows as typed values by key.

use std::hash::Hash;
use std::sync::Arc;

use ahash::AHashMap;
use async_trait::async_trait;

use crate::api::{Fetched, Lookup, RowLookup};
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

/// Whether the database may find more than equal keys.
fn has_text(parts: &[Value]) -> bool {
    parts.iter().any(|part| matches!(part, Value::Text(_)))
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
    /// key equals none that was asked for; whose it is shows only where a key is asked for alone. Such a row may also
    /// hide behind a key that it does equal; so texts without a row are asked for again without the keys that have
    /// one.
    async fn fetch(&self, keys: &[K]) -> Result<Vec<Fetched<V>>> {
        let parts: Vec<_> = keys.iter().map(self.parts).collect();
        let rows = self.rows.fetch(&parts).await?;
        if let [_] = keys {
            return Ok(vec![rows.first().map(self.read).transpose()?.into()]);
        }
        let mut found = AHashMap::with_capacity(keys.len());
        for row in rows {
            let row = (self.read)(&row)?;
            found.entry((self.key)(&row)).or_insert(row);
        }
        let matched = keys.iter().filter(|key| found.contains_key(key)).count();
        let is_loose = found.len() > matched;
        let of_key = |(key, parts): (&K, &Vec<Value>)| match found.get(key) {
            Some(row) => Fetched::Row(row.clone()),
            None if is_loose => Fetched::Unmatched,
            None if matched > 0 && has_text(parts) => Fetched::Hidden,
            None => Fetched::Missing,
        };
        Ok(keys.iter().zip(&parts).map(of_key).collect())
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::model::FromRow;

    /// A table of names whose keys are compared whatever their case.
    struct Loose {
        names: &'static [&'static str],
        requests: Mutex<usize>,
    }

    #[async_trait]
    impl RowLookup for Loose {
        fn describe(&self) -> String {
            "loose".to_owned()
        }

        async fn check(&self) -> Result<()> {
            Ok(())
        }

        async fn fetch(&self, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
            *self.requests.lock().expect("no panic") += 1;
            let asked = |name: &str| keys.iter().any(|key| key[0].to_string().eq_ignore_ascii_case(name));
            let columns: Arc<[String]> = [String::from("name")].into();
            let row = |name: &&str| Row::new(columns.clone(), vec![Value::Text((*name).to_owned())]);
            Ok(self.names.iter().filter(|name| asked(name)).map(row).collect())
        }

        async fn load(&self) -> Result<Vec<Row>> {
            Ok(Vec::new())
        }

        fn concurrency(&self) -> usize {
            1
        }

        fn max_batch(&self) -> usize {
            10
        }
    }

    #[derive(Clone)]
    struct Name(String);

    impl FromRow for Name {
        fn from_row(row: &Row) -> Result<Self> {
            row.get("name").map(Self)
        }
    }

    async fn fetch(names: &'static [&'static str], keys: &[&str]) -> Vec<Fetched<String>> {
        let loose = Arc::new(Loose { names, requests: Mutex::default() });
        let parts = |key: &String| vec![Value::Text(key.clone())];
        let rows = TypedRows::new(Arc::clone(&loose) as Arc<dyn RowLookup>, parts, Name::from_row, |name| {
            name.0.clone()
        });
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let fetched = rows.fetch(&keys).await.expect("answers");
        assert_eq!(*loose.requests.lock().expect("no panic"), 1, "each try has the time of one request");
        let name = |fetched| match fetched {
            Fetched::Row(Name(name)) => Fetched::Row(name),
            Fetched::Missing => Fetched::Missing,
            Fetched::Hidden => Fetched::Hidden,
            Fetched::Unmatched => Fetched::Unmatched,
        };
        fetched.into_iter().map(name).collect()
    }

    #[tokio::test]
    async fn is_unsure_where_the_database_compares_more_loosely() {
        let row = |name: &str| Fetched::Row(name.to_owned());
        assert_eq!(fetch(&["ann"], &["ann", "ANN"]).await, [row("ann"), Fetched::Hidden]);
        assert_eq!(fetch(&["ann", "bob"], &["ann", "BOB"]).await, [row("ann"), Fetched::Unmatched]);
        assert_eq!(fetch(&["ann"], &["ANN"]).await, [row("ann")]);
        assert_eq!(fetch(&[], &["ann", "bob"]).await, [Fetched::Missing, Fetched::Missing]);
    }
}
