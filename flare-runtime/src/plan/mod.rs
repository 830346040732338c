//! The job's description as a graph of stages, and what is wrong with it.

mod check;
mod graph;
mod render;

pub use check::{check_ends, check_ids};
pub(crate) use graph::Shape;
pub use graph::{
    Build, EdgeInfo, Exchange, Graph, MakePartition, OpenEnd, OperatorInfo, PortRef, Ports, Role, StageInfo,
    StageNode, Wiring,
};
pub use render::{StageOutline, mermaid, outline, text};
