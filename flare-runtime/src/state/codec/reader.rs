//! Stored bytes, read one scalar or length at a time, each by postcard itself.

use std::fmt;

use serde::Deserialize;

use super::error::{CodecError, Path, Segment};

/// What `encode` writes at most, in containers around each other.
pub(crate) const WRITE_DEPTH: u32 = 128;

/// What is read at most: a variant is two levels here, and optional parts may have been put around it since.
pub(crate) const READ_DEPTH: u32 = 2 * WRITE_DEPTH + 64;

/// Elements without bytes, such as those of a `Vec<()>`, are bounded by this instead of by the bytes left.
pub(crate) const MAX_EMPTY: usize = 1024;

/// Parts without bytes that may be passed over in a row; only a shape that nobody wrote has more.
const MAX_IDLE: usize = 256 * MAX_EMPTY;

/// Why a value cannot be read, with the way to the place, innermost segment first.
#[derive(Debug)]
pub(crate) struct Failure(Box<(Cause, Vec<Segment>)>);

#[derive(Debug)]
pub(crate) enum Cause {
    Torn,
    Malformed(&'static str),
    TooDeep,
    VariantGone(String),
    Refused(String),
}

impl Failure {
    pub(crate) fn at(mut self, segment: Segment) -> Self {
        self.0.1.push(segment);
        self
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self(Box::new((cause, Vec::new())))
    }
}

impl From<Failure> for CodecError {
    fn from(failure: Failure) -> Self {
        let (cause, segments) = *failure.0;
        let path = Path::from_inner(segments);
        match cause {
            Cause::Torn => Self::Torn(path),
            Cause::Malformed(what) => Self::Malformed(path, what),
            Cause::TooDeep => Self::TooDeep(path),
            Cause::VariantGone(variant) => Self::VariantGone(path, variant),
            Cause::Refused(message) => Self::Refused(path, message),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.0 {
            Cause::Torn => f.write_str("the stored bytes end too early"),
            Cause::Malformed(what) => write!(f, "the stored bytes hold {what}"),
            Cause::TooDeep => f.write_str("the stored value is nested too deeply"),
            Cause::VariantGone(variant) => write!(f, "the stored variant `{variant}` no longer exists"),
            Cause::Refused(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Failure {}

impl serde::de::Error for Failure {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Cause::Refused(message.to_string()).into()
    }
}

pub(crate) struct Reader<'de> {
    rest: &'de [u8],
    idle: usize,
}

impl<'de> Reader<'de> {
    pub(crate) fn new(bytes: &'de [u8]) -> Self {
        Self { rest: bytes, idle: 0 }
    }

    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(crate) fn take<T: Deserialize<'de>>(&mut self) -> Result<T, Failure> {
        match postcard::take_from_bytes(self.rest) {
            Ok((value, rest)) => {
                self.rest = rest;
                self.idle = 0;
                Ok(value)
            }
            Err(error) => Err(cause(&error).into()),
        }
    }

    /// The length of a list whose elements have at least `least` bytes each.
    pub(crate) fn len(&mut self, least: usize) -> Result<usize, Failure> {
        let len: u64 = self.take()?;
        let len = usize::try_from(len).map_err(|_| Cause::Torn)?;
        match self.rest.len().checked_div(least) {
            Some(most) if len > most => Err(Cause::Torn.into()),
            None if len > MAX_EMPTY => Err(Cause::Malformed("a list of too many empty elements").into()),
            _ => Ok(len),
        }
    }

    /// Notes that a part is passed over; it may turn out to have no bytes.
    pub(crate) fn pass(&mut self) -> Result<(), Failure> {
        self.idle += 1;
        if self.idle > MAX_IDLE { Err(Cause::Malformed("endless empty parts").into()) } else { Ok(()) }
    }
}

fn cause(error: &postcard::Error) -> Cause {
    match error {
        postcard::Error::DeserializeUnexpectedEnd => Cause::Torn,
        postcard::Error::DeserializeBadVarint => Cause::Malformed("a number that is too large"),
        postcard::Error::DeserializeBadBool => Cause::Malformed("a bool that is neither 0 nor 1"),
        postcard::Error::DeserializeBadChar => Cause::Malformed("a char that is none"),
        postcard::Error::DeserializeBadUtf8 => Cause::Malformed("text that is not UTF-8"),
        postcard::Error::DeserializeBadOption => Cause::Malformed("an option that is neither 0 nor 1"),
        _ => Cause::Malformed("something that cannot be read"),
    }
}
