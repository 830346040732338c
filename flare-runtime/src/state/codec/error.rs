//! What can go wrong between a type, its stored shape, and stored bytes.

use std::error::Error as StdError;
use std::fmt;

/// One step from a value into its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Field(String),
    Variant(String),
    Item(usize),
    Element,
    Key,
    Value,
}

/// The way from the whole value to one of its parts, such as `user.tags[3]`; empty for the value itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Segment>);

impl Path {
    /// From segments that were noted on the way out, innermost first.
    pub(crate) fn from_inner(mut segments: Vec<Segment>) -> Self {
        segments.reverse();
        Self(segments)
    }

    pub(crate) fn push(&mut self, segment: Segment) {
        self.0.push(segment);
    }

    pub(crate) fn pop(&mut self) {
        self.0.pop();
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the value");
        }
        for (index, segment) in self.0.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            match segment {
                Segment::Field(name) => write!(f, "{dot}{}", name.escape_debug())?,
                Segment::Variant(name) => write!(f, "<{}>", name.escape_debug())?,
                Segment::Item(item) => write!(f, "[{item}]")?,
                Segment::Element => f.write_str("[]")?,
                Segment::Key => f.write_str("[key]")?,
                Segment::Value => f.write_str("[value]")?,
            }
        }
        Ok(())
    }
}

/// A value that cannot be written, or bytes that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// The value cannot be written so that it could be read again.
    Unwritable(String),
    /// The bytes end before the value does, or a length is larger than what is left.
    Torn(Path),
    /// The bytes are not what `encode` writes.
    Malformed(Path, &'static str),
    /// So many bytes are left behind the value.
    Trailing(usize),
    /// The value is nested more deeply than any that `encode` writes.
    TooDeep(Path),
    /// The stored value is of a variant that the type no longer has.
    VariantGone(Path, String),
    /// The type's own `Deserialize` refused the value.
    Refused(Path, String),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwritable(reason) => write!(f, "the value cannot be stored: {reason}"),
            Self::Torn(path) => write!(f, "{path}: the stored bytes end too early"),
            Self::Malformed(path, what) => write!(f, "{path}: the stored bytes hold {what}"),
            Self::Trailing(bytes) => write!(f, "{bytes} bytes are left behind the stored value"),
            Self::TooDeep(path) => write!(f, "{path}: the stored value is nested too deeply"),
            Self::VariantGone(path, variant) => {
                write!(f, "{path}: the stored variant `{}` no longer exists", variant.escape_debug())
            }
            Self::Refused(path, message) => write!(f, "{path}: {message}"),
        }
    }
}

impl StdError for CodecError {}

/// A type whose shape cannot be found from its `Deserialize`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// A part of the type does not say what it wants to read; the text says which and why.
    Untraceable(Path, String),
    /// The type has too many parts, or parts nested too deeply.
    TooLarge(Path),
    /// A stored shape is inconsistent: its bytes are damaged.
    Damaged(&'static str),
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untraceable(path, reason) => write!(f, "{path}: {reason}"),
            Self::TooLarge(path) => write!(f, "{path}: the type has too many parts to be keyed state"),
            Self::Damaged(what) => write!(f, "the stored shape is damaged: {what}"),
        }
    }
}

impl StdError for ShapeError {}

/// A part of the type that cannot be read from what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The part, named as the type names it now.
    pub path: Path,
    /// Its stored shape; `absent` where nothing is stored.
    pub was: String,
    /// Its shape now.
    pub is: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: was {}, is {}", self.path, self.was, self.is)
    }
}

/// Why values of a stored shape cannot be read as the type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// The shape of the type itself is not known.
    Shape(ShapeError),
    /// Every part that cannot be read.
    Differs(Vec<Difference>),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(error) => error.fmt(f),
            Self::Differs(differences) => {
                for (index, difference) in differences.iter().enumerate() {
                    let between = if index == 0 { "" } else { "; " };
                    write!(f, "{between}{difference}")?;
                }
                Ok(())
            }
        }
    }
}

impl StdError for Mismatch {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Shape(error) => Some(error),
            Self::Differs(_) => None,
        }
    }
}

impl From<ShapeError> for Mismatch {
    fn from(error: ShapeError) -> Self {
        Self::Shape(error)
    }
}
