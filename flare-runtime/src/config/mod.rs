//! Settings: declared once, read from layers, reported with their origin.

mod declare;
mod layer;
mod problem;
mod resolve;
mod value;

pub use declare::{Range, Setting, Settings};
pub use layer::{Layer, Literal, Origin, Place};
pub use problem::{Problem, Problems, similar, suggestion};
pub use resolve::{Config, Effective, Section};
pub use value::{Choice, SettingValue};

pub(crate) use declare::settings;
pub(crate) use value::{accepts, choices};
