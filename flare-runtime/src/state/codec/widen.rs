//! Reads a stored scalar as the type's own, which may be wider.

use serde::de::Visitor;

use super::reader::{Cause, Failure, Reader};
use super::shape::Scalar;

pub(crate) fn read<'de, V: Visitor<'de>>(
    reader: &mut Reader<'de>,
    was: Scalar,
    is: Scalar,
    visitor: V,
) -> Result<V::Value, Failure> {
    if was != is {
        return widened(reader, was, is, visitor);
    }
    match is {
        Scalar::Unit => visitor.visit_unit(),
        Scalar::Bool => visitor.visit_bool(reader.take()?),
        Scalar::Char => visitor.visit_char(reader.take()?),
        Scalar::Text => visitor.visit_borrowed_str(reader.take()?),
        Scalar::Bytes => visitor.visit_borrowed_bytes(reader.take()?),
        Scalar::F32 => visitor.visit_f32(reader.take()?),
        Scalar::F64 => visitor.visit_f64(reader.take()?),
        Scalar::I8 => visitor.visit_i8(reader.take()?),
        Scalar::I16 => visitor.visit_i16(reader.take()?),
        Scalar::I32 => visitor.visit_i32(reader.take()?),
        Scalar::I64 => visitor.visit_i64(reader.take()?),
        Scalar::I128 => visitor.visit_i128(reader.take()?),
        Scalar::U8 => visitor.visit_u8(reader.take()?),
        Scalar::U16 => visitor.visit_u16(reader.take()?),
        Scalar::U32 => visitor.visit_u32(reader.take()?),
        Scalar::U64 => visitor.visit_u64(reader.take()?),
        Scalar::U128 => visitor.visit_u128(reader.take()?),
    }
}

fn widened<'de, V: Visitor<'de>>(
    reader: &mut Reader<'de>,
    was: Scalar,
    is: Scalar,
    visitor: V,
) -> Result<V::Value, Failure> {
    match is {
        Scalar::F64 => visitor.visit_f64(reader.take::<f32>()?.into()),
        Scalar::I16 => visitor.visit_i16(integer(reader, was)?),
        Scalar::I32 => visitor.visit_i32(integer(reader, was)?),
        Scalar::I64 => visitor.visit_i64(integer(reader, was)?),
        Scalar::I128 => visitor.visit_i128(integer(reader, was)?),
        Scalar::U16 => visitor.visit_u16(integer(reader, was)?),
        Scalar::U32 => visitor.visit_u32(integer(reader, was)?),
        Scalar::U64 => visitor.visit_u64(integer(reader, was)?),
        // A stored u128 is never widened, so an i128 holds every value.
        Scalar::U128 => visitor.visit_u128(integer(reader, was)?),
        _ => Err(Cause::Malformed("a scalar of another kind").into()),
    }
}

fn integer<I: TryFrom<i128>>(reader: &mut Reader<'_>, was: Scalar) -> Result<I, Failure> {
    let wide: i128 = match was {
        Scalar::I8 => reader.take::<i8>()?.into(),
        Scalar::I16 => reader.take::<i16>()?.into(),
        Scalar::I32 => reader.take::<i32>()?.into(),
        Scalar::I64 => reader.take::<i64>()?.into(),
        Scalar::U8 => reader.take::<u8>()?.into(),
        Scalar::U16 => reader.take::<u16>()?.into(),
        Scalar::U32 => reader.take::<u32>()?.into(),
        Scalar::U64 => reader.take::<u64>()?.into(),
        _ => return Err(Cause::Malformed("a scalar of another kind").into()),
    };
    I::try_from(wide).map_err(|_| Cause::Malformed("a number that is too large").into())
}
