//! The test kit: a job in a plain `#[test]`, without anything outside and in a time of its own.

mod case;
mod explore;
mod faults;
mod kit;
mod live;
mod mock_lookup;
mod mock_reader;
mod mock_source;
mod operator_restart;
mod operator_streams;
mod operator_test;
mod rig;
mod test_sink;

pub use case::Case;
pub use explore::Exploration;
pub use faults::Crash;
pub use kit::{FlareTest, TestRun};
pub use live::LiveTest;
pub use mock_lookup::MockLookup;
pub use mock_source::{ManualSource, MockSource};
pub use operator_streams::{OneStream, TwoStreams, WithControl};
pub use operator_test::{OperatorTest, Rejected};
pub use test_sink::TestSink;
