//! The codec of keyed state: compact bytes by position, and a shape that tells a later type what they mean.
//!
//! [`encode`] writes [postcard's format](https://postcard.jamesmunns.com/wire-format): fields in their order, without
//! names, integers of more than 8 bits as varints. A [`Shape`] describes a type and is stored once beside its values.
//! [`Decoder::new`] compares a stored shape with the type of today, and [`Decoder::decode`] reads its values.
//!
//! The bytes may be foreign: a length is checked against the bytes left before room is made, depth is limited, and
//! whatever is wrong is an error that names its place.
//!
//! # Limits
//! A shape comes from `Deserialize`, and bytes come from `Serialize`: both must speak of the same parts. They do with
//! serde's derive, except for `#[serde(skip_serializing)]` or `skip_deserializing` alone, a `serialize_with` of another
//! form than its `deserialize_with`, and a `#[serde(skip)]` on a variant that is not the last. [`Decoder::verify`]
//! finds these from a value; `skip_serializing_if` is refused by [`encode`] when a field is left out.

mod decoder;
mod display;
mod encode;
mod error;
mod evolve;
mod plan;
mod reader;
mod shape;
#[cfg(test)]
mod tests;
mod trace;
mod walk;
mod widen;

pub use decoder::Decoder;
pub use encode::encode;
pub use error::{CodecError, Difference, Mismatch, Path, ShapeError};
pub use shape::Shape;
