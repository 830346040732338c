//! **Flare** runs stream-processing jobs: annotate structs and functions in a crate of your own, and `cargo run` runs
//! the job.
//!
//! ```
//! use flare::prelude::*;
//!
//! /// A reading as a sensor sends it.
//! #[generator(with = Reading::sample, count = 1000)]
//! #[derive(Clone, Debug, Serialize, Deserialize)]
//! pub struct Reading {
//!     pub sensor: u64,
//!     pub celsius: f64,
//! }
//!
//! impl Reading {
//!     fn sample(number: u64) -> Self {
//!         Self { sensor: number % 10, celsius: number as f64 / 10.0 }
//!     }
//! }
//!
//! #[flare_job]
//! fn hot_sensors(job: &mut Job) -> Result<()> {
//!     let readings = job.source::<Reading>()?;
//!     readings.filter(|reading| reading.celsius > 99.0).for_each(|reading| println!("{reading:?}"));
//!     Ok(())
//! }
//!
//! flare::main!();
//! ```
//!
//! Where to look next: [`Job`] is where streams begin, [`Stream`] has the operators, [`KeyedStream`] those with state
//! and [`keyed`] what they are written with, [`Windows`] and [`Watermarks`] are about time, and each attribute has a page:
//! [`macro@flare_job`], [`macro@kafka`], [`macro@jdbc`], [`macro@files`], [`macro@generator`],
//! [`macro@async_lookup`]. A struct or an enum becomes a key by [`macro@Key`].

#[doc = include_str!("docs/from_row.md")]
pub use flare_macros::FromRow;
#[doc = include_str!("docs/key.md")]
pub use flare_macros::Key;
#[doc = include_str!("docs/async_lookup.md")]
pub use flare_macros::async_lookup;
#[doc = include_str!("docs/files.md")]
pub use flare_macros::files;
#[doc = include_str!("docs/flare_job.md")]
pub use flare_macros::flare_job;
#[doc = include_str!("docs/generator.md")]
pub use flare_macros::generator;
#[doc = include_str!("docs/jdbc.md")]
pub use flare_macros::jdbc;
#[doc = include_str!("docs/kafka.md")]
pub use flare_macros::kafka;

pub use flare_runtime::error::{BoxError, Error, ErrorKind, Result};
pub use flare_runtime::job::{
    BoxedStream, Job, KeyedStream, Runner, Shared, Stream, Summary, Watermarks, WindowedStream, Windows,
};
pub use flare_runtime::model::{
    DirtyRecord, FromRow, FromValue, IntoValue, Key, Row, Secret, Timestamp, Value,
};
pub use flare_runtime::operators::Routed;

/// Where bad records go: the section `dirty` of the configuration, or [`Job::dirty`] in code.
///
/// With `connector = "files"` or `"kafka"` each [`DirtyRecord`] lands as JSON. With `connector = "jdbc"`, a
/// `datasource`, a `table` and `mode = "insert"` it lands as a row, causes as one text with a cause a line, in a table
/// such as
///
/// ```sql
#[doc = include_str!("docs/dirty.sql")]
/// ```
///
/// `budget_count` and `budget_ratio` within `budget_window` bound how much dirt a job bears before it fails. The ratio is
/// judged from 100 records read within the window on, and once more, however few they are, when the input has ended:
/// everything is written then, but the positions since the last checkpoint are not committed, as when any job fails.
///
/// When the cause is gone, the job's binary runs them again: `dirty list` counts what landed, `dirty replay` runs the
/// job on it, both narrowed by `--stage`, `--operator`, `--kind`, `--since`, `--until` and `--limit`. A record that could
/// not be parsed is parsed again from the bytes that landed; with `--from FILE` from a file of dirty records, such as one
/// that `dirty list --json` has printed and somebody has mended. Any other record is read again from its source by
/// `split` and `offset`, for what landed of it is an intermediate record; the whole job runs on it, so a record that one
/// of two sinks refused comes to both again. A source of the user's own and a generator cannot read a record again.
/// Nothing is removed where the records landed: a later replay begins where this one says, by `--since`. The budget does
/// not count in a replay, sinks add to what is there, and no offset is committed.
pub mod dirty {
    pub use flare_runtime::model::DirtyRecord;
}

/// Keyed state: what a [`Process`](keyed::Process) remembers for each key, its timers, aggregates, and operators over
/// two streams.
pub mod keyed {
    pub use crate::Key;
    pub use flare_runtime::job::{BroadcastStream, ConnectedStreams};
    pub use flare_runtime::operators::keyed::join::RelativeTime;
    pub use flare_runtime::operators::keyed::window::{
        Clearing, EveryCount, EveryTime, Fire, Trigger, TriggerContext, Window,
    };
    pub use flare_runtime::operators::keyed::{
        Aggregate, BroadcastProcess, CoProcess, Context, Count, Fold, Process, Sum, Timer, TopN,
    };
    pub use flare_runtime::state::{
        Access, AggregatingState, Declare, Kept, ListState, MapState, ReducingState, Ttl, ValueState,
    };
}

/// Databases for user code: queries beside what attributes do, through the pools of the configuration.
#[cfg(feature = "jdbc")]
pub mod jdbc {
    pub use flare_runtime::connectors::jdbc::{Datasource, IntoParams, Transaction};
}

/// What a user's own source is written with: `#[async_trait] impl Source<Order> for MySource { … }`.
pub mod source {
    pub use async_trait::async_trait;
    pub use flare_runtime::api::{Intake, Positions, Progress, Source, SourceContext};
    pub use flare_runtime::model::{Batch, Control, Meta, Reject};
}

/// Figures of the job's author, made by [`Job::counter`] and the like.
pub mod figures {
    pub use flare_runtime::api::{Counter, Figure, Gauge, Histogram, Percentiles};
    pub use flare_runtime::job::MultiCounter;
}

#[doc = include_str!("docs/test.md")]
#[cfg(feature = "test")]
pub mod test {
    pub use flare_runtime::checkpoint::Savepoint;
    pub use flare_runtime::testing::{
        Case, Crash, Exploration, FlareTest, LiveTest, ManualSource, MockLookup, MockSource, OneStream,
        OperatorTest, Rejected, TestRun, TestSink, TwoStreams, WithControl,
    };
}

/// Everything that a job usually needs.
pub mod prelude {
    pub use crate::keyed::{
        Aggregate, Context, Count, Declare, ListState, MapState, Process, Sum, Timer, ValueState, Window,
    };
    pub use crate::{
        BoxedStream, DirtyRecord, Error, FromRow, Job, Key, Result, Routed, Shared, Stream, Timestamp,
        Watermarks, Windows, async_lookup, files, flare_job, generator, jdbc, kafka,
    };
    pub use serde::{Deserialize, Serialize};
}

/// The program of a job's binary: `flare::main!();` at the end of `main.rs`.
///
/// It knows the jobs of all crates that the binary names. Of a library that holds jobs and of which `main.rs` uses
/// nothing else, write `use my_library as _;`, or the linker leaves it out.
///
/// It reads `flare.toml` from the working directory, else from the package's folder; with
/// `flare::main!(config = "jobs/flare.toml")` from that file of the package.
///
/// The summary at the end goes to standard output, with `--json` as one line of JSON. Where a sink has
/// `connector = "print"`, standard output is for its records alone, and the summary ends standard error.
#[macro_export]
macro_rules! main {
    () => {
        $crate::main!(config = "flare.toml");
    };
    (config = $config:literal) => {
        fn main() -> ::std::process::ExitCode {
            $crate::__private::main($crate::__private::Binary {
                name: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
                manifest_dir: env!("CARGO_MANIFEST_DIR"),
                config: $config,
            })
        }
    };
}

#[doc(hidden)]
pub mod __private {
    pub use flare_runtime::config::{Literal, Place};
    pub use flare_runtime::error::Result;
    pub use flare_runtime::job::declare::*;
    pub use flare_runtime::job::reference;
    pub use flare_runtime::job::{Binary, Job, main};
    pub use flare_runtime::model::{Column, FromRow, Row, RowSchema, derived_key};
    pub use inventory;
}
