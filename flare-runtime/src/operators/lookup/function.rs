//! A user's own asynchronous function as a lookup.

use std::future::Future;

use async_trait::async_trait;

use crate::api::{Fetched, Lookup};
use crate::error::{BoxError, Error, ErrorKind, Result};

/// Asks a function for one key at a time.
pub struct FunctionLookup<F> {
    function: F,
}

impl<F> FunctionLookup<F> {
    /// Calls `function`; only the lookup's capacity bounds how many calls run at a time.
    pub fn new(function: F) -> Self {
        Self { function }
    }
}

#[async_trait]
impl<F, K, V, A, X> Lookup<K, V> for FunctionLookup<F>
where
    F: Fn(K) -> A + Send + Sync,
    A: Future<Output = Result<Option<V>, X>> + Send,
    X: Into<BoxError>,
    K: Clone + Send + Sync,
    V: Send,
{
    async fn fetch(&self, keys: &[K]) -> Result<Vec<Fetched<V>>> {
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            let answer = (self.function)(key.clone()).await;
            rows.push(answer.map_err(|error| failed(error.into()))?.into());
        }
        Ok(rows)
    }

    fn concurrency(&self) -> usize {
        usize::MAX
    }

    fn max_batch(&self) -> usize {
        1
    }
}

/// Flare's own errors keep their kind; any other may pass, so it is tried again.
fn failed(error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => Error::new(ErrorKind::Unavailable, "the lookup function failed").caused_by(error),
    }
}
