//! What a running job shows.

mod progress;

pub use progress::{Progress, Totals};
