//! Reads stored values as a type.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::encode::encode;
use super::error::{CodecError, Mismatch};
use super::evolve::Evolve;
use super::plan::Plan;
use super::reader::{Cause, Failure, READ_DEPTH, Reader};
use super::shape::Shape;
use super::trace;

/// Reads values of a stored shape as `T`.
///
/// Where the stored shape is `T`'s own, bytes are read by position; otherwise by the names of fields and variants:
///
/// - A field that is no longer there is passed over.
/// - A new field must be one that `T` can be read without: an `Option`, or one with `#[serde(default)]`.
/// - A renamed field or variant is found by `#[serde(alias = "old")]`.
/// - Fields and variants may change their order; variants may be added.
/// - Integers and floats may become wider, a part may become an `Option`, and bytes a list of bytes.
///
/// Whether `T` can be read without a field is not said anywhere, so [`Decoder::new`] tries: it lets the struct read
/// sample values for all other fields, and notes whether it complains about this one. A struct that refuses the
/// samples keeps its secret; there a missing field is an error of [`Decoder::decode`].
pub struct Decoder<T> {
    plan: Plan,
    way: Way,
    read: PhantomData<fn() -> T>,
}

/// How bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By postcard.
    Plain,
    /// By postcard, after a walk that has found no harm.
    Walked,
    /// By the plan.
    Planned,
}

impl<T: DeserializeOwned> Decoder<T> {
    /// A decoder of values stored with the shape `stored`.
    ///
    /// # Errors
    /// Every part of `T` that cannot be read from such values, or the reason why `T` has no shape.
    pub fn new(stored: Shape) -> Result<Self, Mismatch> {
        let own = trace::trace::<T>()?;
        let same = stored == own.shape;
        let plan = Plan::new(stored, &own).map_err(Mismatch::Differs)?;
        let way = match same {
            false => Way::Planned,
            true if plan.stored.is_needed() => Way::Walked,
            true => Way::Plain,
        };
        Ok(Self { plan, way, read: PhantomData })
    }

    /// Reads one value, which must take all of `bytes`.
    ///
    /// # Errors
    /// The bytes are no value of the stored shape, or `T` refuses it.
    #[inline]
    pub fn decode(&self, bytes: &[u8]) -> Result<T, CodecError> {
        match self.way {
            Way::Planned => return self.decode_planned(bytes),
            Way::Walked => self.walk(bytes)?,
            Way::Plain => {}
        }
        // The one place that calls it, so that the compiler can make one piece of it all.
        let mut postcard = postcard::Deserializer::from_bytes(bytes);
        match T::deserialize(&mut postcard) {
            Ok(value) if postcard.finalize().is_ok_and(<[u8]>::is_empty) => Ok(value),
            _ => Err(self.explain(bytes)),
        }
    }

    #[inline(never)]
    fn walk(&self, bytes: &[u8]) -> Result<(), CodecError> {
        Ok(self.plan.stored.skip(&mut Reader::new(bytes), 0, READ_DEPTH)?)
    }

    #[inline(never)]
    pub(super) fn decode_planned(&self, bytes: &[u8]) -> Result<T, CodecError> {
        let mut reader = Reader::new(bytes);
        let value = T::deserialize(Evolve::new(&self.plan, &mut reader))?;
        match reader.left() {
            0 => Ok(value),
            left => Err(CodecError::Trailing(left)),
        }
    }

    /// Says where bytes are wrong that postcard did not take; it names no place, so the plan reads them again.
    #[cold]
    fn explain(&self, bytes: &[u8]) -> CodecError {
        match self.decode_planned(bytes) {
            Err(error) => error,
            // Only a type that reads something else each time comes here.
            Ok(_) => Failure::from(Cause::Malformed("something that cannot be read by position")).into(),
        }
    }

    /// Whether a value that `encode` has just written as `bytes` is read as the same value.
    ///
    /// `Serialize` and `Deserialize` may speak of different parts, and no shape shows it: after a variant with
    /// `#[serde(skip)]`, derived code even reads one variant as another. So the value is read, written once more, and
    /// the bytes are compared; without regard to their order, because a hash map has none. It costs a decode and an
    /// encode, and is meant for the first values of a type, and for tests.
    ///
    /// # Errors
    /// The value is not read, or is another one.
    pub fn verify(&self, bytes: &[u8]) -> Result<(), CodecError>
    where
        T: Serialize,
    {
        let mut again = Vec::with_capacity(bytes.len());
        encode(&self.decode(bytes)?, &mut again)?;
        let sorted = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes.sort_unstable();
            bytes
        };
        if bytes == again || sorted(bytes) == sorted(&again) {
            return Ok(());
        }
        let reason = "it is read as another value; `Serialize` and `Deserialize` differ, \
                      as after a variant with `#[serde(skip)]` that is not the last";
        Err(CodecError::Unwritable(reason.into()))
    }

    /// Whether values are read by position, without regard to names.
    pub fn is_positional(&self) -> bool {
        self.way != Way::Planned
    }
}

impl<T> fmt::Debug for Decoder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("way", &self.way).finish_non_exhaustive()
    }
}
