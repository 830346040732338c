//! What flows and how it is named: records with their metadata, control messages, rows, ids.

mod batch;
mod dirty;
mod either;
mod id;
mod key;
mod panic;
mod row;
mod row_serializer;
mod secret;
mod time;

pub mod derived_key;

pub use batch::{Barrier, Batch, Control, Message, Meta};
pub use dirty::{DirtyRecord, Reject};
pub use either::Either;
pub use id::{OperatorId, SplitId, SplitName, Splits, SubtaskId};
pub use key::{Key, KeyGroups};
pub(crate) use panic::{note_panic_places, panic_error};
pub use row::{FromRow, FromValue, IntoValue, Row, Value};
pub use row_serializer::{Column, RowSchema, to_row};
pub use secret::Secret;
pub use time::{Timestamp, format_duration, parse_duration, parse_moment};
