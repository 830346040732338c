//! The composition root: what users declare, describe and start.

mod builder;
mod cli;
mod connected;
mod count_windows;
#[cfg(feature = "jdbc")]
mod datasources;
mod declared;
mod dirty;
mod dirty_command;
mod event_time;
mod figures;
mod joins;
mod keyed;
mod load;
mod lookups;
pub mod reference;
mod registry;
mod report;
mod run;
mod runner;
mod settings;
mod sinks;
mod sources;
#[cfg_attr(not(feature = "test"), allow(dead_code, reason = "filled by the test kit"))]
pub(crate) mod stand_ins;
mod stream;
mod top_n;
mod windowed;
mod windows;

pub mod declare;

pub use cli::{Binary, main};
pub use connected::{BroadcastStream, ConnectedStreams};
pub use event_time::Watermarks;
pub use figures::MultiCounter;
#[cfg(feature = "test")]
pub(crate) use figures::USER;
pub use keyed::{KeyedStream, WindowedStream};
#[cfg(feature = "test")]
pub(crate) use load::{Selection, Subject, describe_subject};
pub use report::{OperatorFigures, Summary};
#[cfg(feature = "test")]
pub(crate) use run::{Running, check_all, plan};
pub use runner::Runner;
pub use settings::{DirtySettings, JobSettings, OperatorSettings};
pub use sinks::Carries;
pub use sources::Job;
pub use stream::{BoxedStream, Exchanged, Shared, Stream};
pub use windows::Windows;
