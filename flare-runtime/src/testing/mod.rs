//! The test kit: a job in a plain `#[test]`, without anything outside and in a time of its own.

mod kit;
mod live;
mod mock_lookup;
mod mock_source;
mod test_sink;

pub use kit::{FlareTest, TestRun};
pub use live::LiveTest;
pub use mock_lookup::MockLookup;
pub use mock_source::{ManualSource, MockSource};
pub use test_sink::TestSink;
