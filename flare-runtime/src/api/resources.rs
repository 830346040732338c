//! What connectors of one job share: connection pools, clients.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;

type Key = (&'static str, String);

/// Shared clients by kind and name (`datasource`, `users`).
#[derive(Clone, Default)]
pub struct Resources {
    made: Arc<Mutex<BTreeMap<Key, Arc<dyn Any + Send + Sync>>>>,
    endings: Arc<Mutex<BTreeMap<Key, BoxFuture<'static, ()>>>>,
}

impl Resources {
    /// The resource of that kind and name, made by `make` at the first call.
    ///
    /// # Errors
    /// The error of `make`; nothing is kept then.
    ///
    /// # Panics
    /// When one kind is used with two types.
    pub fn get_or_make<R: Any + Send + Sync, E>(
        &self,
        kind: &'static str,
        name: &str,
        make: impl FnOnce() -> Result<R, E>,
    ) -> Result<Arc<R>, E> {
        let mut resources = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, name.to_owned());
        let resource = match resources.get(&key) {
            Some(resource) => Arc::clone(resource),
            None => {
                let made: Arc<dyn Any + Send + Sync> = Arc::new(make()?);
                resources.insert(key, Arc::clone(&made));
                made
            }
        };
        Ok(resource.downcast().expect("one type a kind"))
    }

    /// What is to be done with that resource when the job has ended, instead of what was said before.
    pub fn at_end(&self, kind: &'static str, name: &str, ending: BoxFuture<'static, ()>) {
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        endings.insert((kind, name.to_owned()), ending);
    }

    /// Ends all resources.
    pub async fn end(&self) {
        let endings = std::mem::take(&mut *self.endings.lock().unwrap_or_else(PoisonError::into_inner));
        for ending in endings.into_values() {
            ending.await;
        }
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resources = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(resources.keys()).finish()
    }
}
