//! What the benchmarks share: rounds in which Flare and a reference take turns, ready-made batches, printed lines.
//!
//! Each benchmark is a program in `src/bin`. Flare and the reference do the same work in one process, one after the
//! other, and every figure is a median over the rounds.

mod batches;
mod clock;
mod report;
mod rounds;
mod sum;

pub use batches::{BATCH, Batches, Refill, in_batches, stream};
pub use clock::{Moment, Span, Stopwatch};
pub use report::{Line, Report};
pub use rounds::{Options, Pair, Run, compared, median, take_turns};
pub use sum::{Sum, Total};
