//! What surrounds a connector's sink: another try, and the search for a bad record.

mod retry;

pub use retry::{RetrySettings, Retrying};
