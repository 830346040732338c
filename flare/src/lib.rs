//! Flare.
#[doc(hidden)]
pub mod __private {
    pub use flare_runtime::config::{Literal, Place};
    pub use flare_runtime::error::Result;
    pub use flare_runtime::job::Job;
    pub use flare_runtime::job::declare::*;
    pub use flare_runtime::model::{Column, FromRow, Row, RowSchema};
    pub use inventory;
}
