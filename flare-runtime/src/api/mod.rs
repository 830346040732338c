//! What connectors and operators implement, and what the engine gives them.

mod backoff;
mod connector;
mod encoded;
mod format;
mod host;
mod lookup;
mod metrics;
mod port;
mod replay;
mod resources;
mod sink;
mod source;
mod stage;

pub use backoff::Backoff;
pub use connector::{
    Binding, Capability, Connector, LookupConnector, Opening, Registry, SinkConnector, SourceConnector,
};
pub use encoded::{ByteBatch, RowBatch, SinkBatch};
pub use format::{Decode, Encode, Format, KeyEncoder, RowEncoder, decoder, encoder};
pub use host::{Command, HostLink, Report, Snapshot};
pub use lookup::{Lookup, RowLookup};
pub use metrics::{Counter, Figure, Gauge, Histogram, Metrics, Percentiles};
pub use port::{Edge, InputPort, Output};
pub use replay::{Offsets, Replay, Replayed};
pub use resources::Resources;
pub use sink::{CreateSink, ReadBack, ReadRows, Sink, SinkContext, SinkFactory};
pub use source::{ByteSource, CreateSource, Intake, Payloads, Positions, Progress, Source, SourceContext};
pub use stage::{Consumer, DirtyBudget, DirtyOutlet, DirtyStage, Downstream, StageContext, Subtask};
