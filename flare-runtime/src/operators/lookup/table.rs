//! A dimension table held whole in memory.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::api::Lookup;
use crate::error::{Error, ErrorKind, Result};

type Rows<K, V> = Arc<AHashMap<K, Arc<V>>>;

/// The preloaded table; the first subtask loads it, and all share it.
pub struct Table<K, V> {
    rows: watch::Receiver<Option<Rows<K, V>>>,
    /// With whoever loads.
    loader: Option<watch::Sender<Option<Rows<K, V>>>>,
    refresh: Duration,
    due: Option<Instant>,
}

impl<K: Hash + Eq + Send + Sync, V: Send + Sync> Table<K, V> {
    /// One table for each of `subtasks`, which share their rows; it is loaded anew after each `refresh`.
    pub fn shared(subtasks: usize, refresh: Duration) -> Vec<Self> {
        let (sender, rows) = watch::channel(None);
        let mut loader = Some(sender);
        let table = |_| Self { rows: rows.clone(), loader: loader.take(), refresh, due: None };
        (0..subtasks).map(table).collect()
    }

    /// Waits until the table is there; the first subtask loads it.
    ///
    /// # Errors
    /// The lookup's error.
    pub(super) async fn open(&mut self, lookup: &dyn Lookup<K, V>) -> Result<()> {
        if self.loader.is_some() {
            let rows = lookup.load().await?;
            self.replace(rows);
            return Ok(());
        }
        let loaded = self.rows.wait_for(Option::is_some).await;
        let message = "the table was not loaded by the first subtask";
        loaded.map(|_| ()).map_err(|_| Error::new(ErrorKind::Failed, message).consequence())
    }

    /// Puts newly loaded rows in the place of the old ones, all at once.
    pub(super) fn replace(&mut self, rows: Vec<(K, V)>) {
        if let Some(loader) = &self.loader {
            let rows = rows.into_iter().map(|(key, row)| (key, Arc::new(row)));
            loader.send_replace(Some(Arc::new(rows.collect())));
        }
        self.postpone();
    }

    /// Sets the next load one interval from now; only the first subtask ever loads.
    pub(super) fn postpone(&mut self) {
        self.due = self.loader.is_some().then(|| Instant::now() + self.refresh);
    }

    /// When the table should be loaded anew.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The rows now.
    pub(super) fn rows(&self) -> Rows<K, V> {
        self.rows.borrow().clone().unwrap_or_default()
    }
}
