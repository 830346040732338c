//! What connectors and operators implement, and what the engine gives them.

mod backoff;
mod budget;
mod clock;
mod connector;
mod csv_line;
mod encoded;
mod format;
mod host;
mod lookup;
mod metrics;
mod port;
mod replay;
mod resources;
mod sink;
mod snapshot;
mod source;
mod stage;

pub use backoff::Backoff;
pub use budget::DirtyBudget;
pub use clock::Clock;
pub use connector::{
    Binding, Capability, Connector, LookupConnector, Opening, Registry, SinkConnector, SourceConnector,
};
pub use encoded::{ByteBatch, RowBatch, SinkBatch};
pub use format::{Decode, Encode, Format, KeyEncoder, RowEncoder, decoder, encoder};
pub use host::{Command, HostLink, Report};
pub use lookup::{Fetched, Lookup, RowLookup};
pub use metrics::{Counter, Figure, Gauge, Histogram, Metrics, Percentiles};
pub use port::{Edge, InputPort, Output, Partition};
pub use replay::{Offsets, Replay, Replayed};
pub use resources::Resources;
pub use sink::{CreateSink, ReadBack, ReadRows, Sink, SinkContext, SinkFactory};
pub use snapshot::{OwnSnapshot, Restored, Snapshot, TableSnapshot};
pub use source::{ByteSource, CreateSource, Intake, Payloads, Positions, Progress, Source, SourceContext};
pub(crate) use stage::until;
pub use stage::{Consumer, DirtyOutlet, DirtyStage, Downstream, StageContext, Subtask};
