//! Joins of two streams by key and event time.

mod interval;
mod temporal;
mod window;

pub use interval::{IntervalJoin, RelativeTime};
pub use temporal::TemporalJoin;
pub use window::{CoGroup, Joined};

use super::Turn;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Meta, Timestamp};

/// The name under which records that wait for partners are kept.
pub(crate) const JOINED: &str = "records";

/// How records get an event time.
pub const NEEDS_TIME: &str =
    "write `event_time = \"field\"` on both sources, or call `.event_time(…)` on both streams";

/// The record's event time, without which there is no join.
fn event_time<U>(meta: Meta, turn: &Turn<'_, U>) -> Result<Timestamp> {
    if meta.timestamp == Timestamp::MIN {
        let message = format!("a join by event time met a record without one; {NEEDS_TIME}");
        let error = Error::new(ErrorKind::Config, message).with("operator", &turn.stage.subtask);
        return Err(error.with("record", turn.stage.origin(meta)));
    }
    Ok(meta.timestamp)
}

/// What is known of a record that a join gives.
fn joined_at(timestamp: Timestamp) -> Meta {
    Meta { timestamp, ..Meta::NONE }
}
