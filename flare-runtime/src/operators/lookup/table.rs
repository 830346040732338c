//! A dimension table held whole in memory.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use futures::future::BoxFuture;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::{Instant, timeout};

use crate::api::Lookup;
use crate::error::{Error, ErrorKind, Result};

type Rows<K, V> = Arc<AHashMap<K, Arc<V>>>;

/// The rows, and when they were loaded.
type Loaded<K, V> = Option<(Rows<K, V>, Instant)>;

/// The preloaded table: one subtask loads it, and all share it.
pub struct Table<K, V> {
    loaded: watch::Receiver<Loaded<K, V>>,
    /// Locked by the subtask that loads; when that one ends, another takes its place.
    turn: Arc<Mutex<watch::Sender<Loaded<K, V>>>>,
    loader: Option<OwnedMutexGuard<watch::Sender<Loaded<K, V>>>>,
    refresh: Duration,
    due: Option<Instant>,
}

impl<K, V> Table<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// One table for each of `subtasks`, which share their rows; it is loaded anew after each `refresh`.
    pub fn shared(subtasks: usize, refresh: Duration) -> Vec<Self> {
        let (sender, loaded) = watch::channel(None);
        let turn = Arc::new(Mutex::new(sender));
        let table =
            |_| Self { loaded: loaded.clone(), turn: Arc::clone(&turn), loader: None, refresh, due: None };
        (0..subtasks).map(table).collect()
    }

    /// Waits until the table is there; the first subtask that comes loads it.
    ///
    /// # Errors
    /// The lookup's error.
    pub(super) async fn open(&mut self, lookup: &Arc<dyn Lookup<K, V>>) -> Result<()> {
        if self.loader.is_none() {
            let turn = Arc::clone(&self.turn);
            tokio::select! {
                biased;
                loaded = self.loaded.wait_for(Option::is_some) => {
                    loaded.expect("the sender is in `turn`");
                    return Ok(());
                }
                loader = turn.lock_owned() => self.loader = Some(loader),
            }
        }
        let rows = self.load(Arc::clone(lookup)).await?;
        self.replace(rows);
        Ok(())
    }

    /// Loads all rows; who takes longer than the time between two loads has failed.
    pub(super) fn load(&self, lookup: Arc<dyn Lookup<K, V>>) -> BoxFuture<'static, Result<Vec<(K, V)>>> {
        let limit = self.refresh;
        Box::pin(async move {
            timeout(limit, lookup.load()).await.unwrap_or_else(|_| {
                let message = "the table was not loaded within the time of `refresh`";
                let limit = crate::model::format_duration(limit);
                Err(Error::new(ErrorKind::Timeout, message).with("refresh", limit))
            })
        })
    }

    /// Puts newly loaded rows in the place of the old ones, all at once.
    pub(super) fn replace(&mut self, rows: Vec<(K, V)>) {
        if let Some(loader) = &self.loader {
            let rows = rows.into_iter().map(|(key, row)| (key, Arc::new(row)));
            loader.send_replace(Some((Arc::new(rows.collect()), Instant::now())));
        }
        self.postpone();
    }

    /// Sets the next load one interval from now.
    pub(super) fn postpone(&mut self) {
        self.due = Some(Instant::now() + self.refresh);
    }

    /// Waits until the subtask that loads has ended, and loads from now on; for ever where this is that subtask.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn take_over(&mut self) {
        if self.loader.is_some() {
            std::future::pending::<()>().await;
        }
        self.loader = Some(Arc::clone(&self.turn).lock_owned().await);
        self.due = self.loaded.borrow().as_ref().map(|(_, loaded_at)| *loaded_at + self.refresh);
    }

    /// When this subtask should load the table anew.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The rows now.
    pub(super) fn rows(&self) -> Rows<K, V> {
        self.loaded.borrow().as_ref().map(|(rows, _)| Arc::clone(rows)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::api::Fetched;

    const REFRESH: Duration = Duration::from_secs(10);

    /// Its row is the number of the load, each of which takes `takes`.
    #[derive(Default)]
    struct Counted {
        loads: AtomicU32,
        takes: Duration,
    }

    #[async_trait]
    impl Lookup<u32, u32> for Counted {
        async fn fetch(&self, keys: &[u32]) -> Result<Vec<Fetched<u32>>> {
            Ok(keys.iter().map(|_| Fetched::Missing).collect())
        }

        async fn load(&self) -> Result<Vec<(u32, u32)>> {
            tokio::time::sleep(self.takes).await;
            Ok(vec![(0, self.loads.fetch_add(1, Ordering::SeqCst) + 1)])
        }

        fn concurrency(&self) -> usize {
            1
        }

        fn max_batch(&self) -> usize {
            1
        }
    }

    fn row(table: &Table<u32, u32>) -> u32 {
        **table.rows().get(&0).expect("loaded")
    }

    #[tokio::test(start_paused = true)]
    async fn passes_the_turn_to_load_on_to_who_is_left() {
        let lookup: Arc<dyn Lookup<u32, u32>> = Arc::new(Counted::default());
        let mut tables = Table::shared(2, REFRESH);
        let mut left = tables.pop().expect("two");
        let mut first = tables.pop().expect("two");
        first.open(&lookup).await.expect("loads");
        left.open(&lookup).await.expect("is loaded");
        let loaded_at = Instant::now();
        assert_eq!((row(&left), left.due()), (1, None));
        tokio::time::advance(Duration::from_secs(3)).await;
        drop(first);
        left.take_over().await;
        assert_eq!(left.due(), Some(loaded_at + REFRESH));
        let rows = left.load(lookup).await.expect("loads");
        left.replace(rows);
        assert_eq!(row(&left), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_a_load_that_never_ends() {
        let stuck = Counted { takes: Duration::from_secs(3600), ..Counted::default() };
        let lookup: Arc<dyn Lookup<u32, u32>> = Arc::new(stuck);
        let mut table = Table::shared(1, REFRESH).pop().expect("one");
        let error = table.open(&lookup).await.expect_err("it is too slow");
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Timeout, true));
    }
}
