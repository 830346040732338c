//! What happens to records between sources and sinks.

mod alignment;
mod keeping;
mod pass;
mod relay;
mod replay;
mod sink;
mod source;
mod step;
mod taking;
mod watermarks;

pub mod keyed;
pub mod lookup;

pub use alignment::{Aligned, Alignment};
pub use keeping::Keeping;
pub use pass::{ForEach, Pass, Routed, Split};
pub use relay::Relay;
pub use replay::Replaying;
pub use sink::{SinkSettings, SinkSubtask};
pub use source::{Decoding, MakeTyped, OnError, SourceSettings, SourceSubtask, TypedParts};
pub use step::{Filter, FlatMap, Identity, Inspect, Map, Step, TryMap};
pub use taking::{Take, Taking, TakingParts};
pub use watermarks::{OwnWatermark, ReadTime, Stamping, WatermarkStrategy};
