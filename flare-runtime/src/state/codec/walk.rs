//! Passes over a stored value by its shape alone.

use super::error::Segment;
use super::reader::{Cause, Failure, Reader};
use super::shape::{Id, Node, Scalar, Shape};

/// A stored shape, ready to pass over its values.
pub(crate) struct Walk {
    pub(crate) shape: Shape,
    /// For each node, a number of bytes that no value of it can be shorter than.
    pub(crate) sizes: Vec<usize>,
}

impl Walk {
    pub(crate) fn new(shape: Shape) -> Self {
        let sizes = shape.least_sizes();
        Self { shape, sizes }
    }

    /// Whether bytes of this shape must be walked before postcard reads them: it bounds neither the depth nor the
    /// number of empty elements, and reserves room for as many entries of a map as the bytes claim.
    pub(crate) fn is_needed(&self) -> bool {
        let risky = |node: &Node| match node {
            Node::Seq(element) => self.sizes[*element as usize] == 0,
            Node::Map(..) => true,
            _ => false,
        };
        self.shape.nodes.iter().any(risky) || self.shape.is_recursive()
    }

    pub(crate) fn skip(&self, reader: &mut Reader<'_>, id: Id, left: u32) -> Result<(), Failure> {
        let left = left.checked_sub(1).ok_or(Cause::TooDeep)?;
        reader.pass()?;
        match self.shape.node(id) {
            Node::Scalar(scalar) => skip_scalar(reader, *scalar),
            Node::Option(inner) => match reader.take::<u8>()? {
                0 => Ok(()),
                1 => self.skip(reader, *inner, left),
                _ => Err(Cause::Malformed("an option that is neither 0 nor 1").into()),
            },
            Node::Seq(element) => {
                for _ in 0..reader.len(self.sizes[*element as usize])? {
                    self.skip(reader, *element, left).map_err(|failure| failure.at(Segment::Element))?;
                }
                Ok(())
            }
            Node::Map(key, value) => {
                for _ in 0..reader.len(self.sizes[*key as usize] + self.sizes[*value as usize])? {
                    self.skip(reader, *key, left).map_err(|failure| failure.at(Segment::Key))?;
                    self.skip(reader, *value, left).map_err(|failure| failure.at(Segment::Value))?;
                }
                Ok(())
            }
            Node::Tuple(items) => items.iter().try_for_each(|item| self.skip(reader, *item, left)),
            Node::Struct(fields) => fields.iter().try_for_each(|field| {
                let skipped = self.skip(reader, field.node, left);
                skipped.map_err(|failure| failure.at(Segment::Field(field.name.to_string())))
            }),
            Node::Enum(variants) => {
                let variant = variants.get(reader.take::<u32>()? as usize);
                let variant = variant.ok_or(Cause::Malformed("a variant that does not exist"))?;
                self.skip(reader, variant.node, left)
            }
        }
    }
}

fn skip_scalar(reader: &mut Reader<'_>, scalar: Scalar) -> Result<(), Failure> {
    match scalar {
        Scalar::Unit => Ok(()),
        Scalar::Bool => reader.take::<bool>().map(drop),
        Scalar::I8 | Scalar::U8 => reader.take::<u8>().map(drop),
        Scalar::I16 | Scalar::U16 => reader.take::<u16>().map(drop),
        Scalar::I32 | Scalar::U32 => reader.take::<u32>().map(drop),
        Scalar::I64 | Scalar::U64 => reader.take::<u64>().map(drop),
        Scalar::I128 | Scalar::U128 => reader.take::<u128>().map(drop),
        Scalar::F32 => reader.take::<f32>().map(drop),
        Scalar::F64 => reader.take::<f64>().map(drop),
        // All three are a length and so many bytes.
        Scalar::Char | Scalar::Text | Scalar::Bytes => reader.take::<&[u8]>().map(drop),
    }
}
