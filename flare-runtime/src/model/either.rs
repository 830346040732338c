//! A record of one of two types.

use serde::Serialize;

/// A record of one of the two streams that an operator reads. It is written as the record alone, which is how it lands
/// when it is turned aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Either<A, B> {
    /// Of the stream that has the method.
    Left(A),
    /// Of the other one.
    Right(B),
}
