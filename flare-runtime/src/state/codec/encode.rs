//! Writes values.

use std::fmt::{self, Display};

use postcard::ser_flavors::Flavor;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::error::CodecError;
use super::reader::{MAX_EMPTY, WRITE_DEPTH};

/// Writes `value` behind what is in `bytes`, in postcard's format.
///
/// # Errors
/// The value could not be read again: it is nested too deeply, a field is left out by `skip_serializing_if`, a list
/// does not know its length, or the type's own `Serialize` fails. Then `bytes` is as it was.
#[inline]
pub fn encode<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
    let start = bytes.len();
    // On the stack a vector is within reach of the optimizer, behind a reference it is not.
    let mut output = postcard::Serializer { output: Append(std::mem::take(bytes)) };
    let written = value.serialize(Guard { output: &mut output, left: WRITE_DEPTH });
    *bytes = output.output.0;
    written.map_err(|error| {
        bytes.truncate(start);
        CodecError::Unwritable(error.to_string())
    })
}

/// Appends to a vector.
struct Append(Vec<u8>);

impl Flavor for Append {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // For a varint's few bytes a call of `memcpy` costs more than the bytes.
        if bytes.len() < 16 {
            self.0.extend(bytes.iter().copied());
        } else {
            self.0.extend_from_slice(bytes);
        }
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Why a value is not written; one pointer, so that results stay small.
#[derive(Debug)]
struct Unwritten(Box<Reason>);

#[derive(Debug)]
enum Reason {
    TooDeep,
    TooEmpty,
    NoLength,
    LeftOut(&'static str),
    Other(String),
}

impl From<Reason> for Unwritten {
    #[cold]
    fn from(reason: Reason) -> Self {
        Self(Box::new(reason))
    }
}

impl From<postcard::Error> for Unwritten {
    #[cold]
    fn from(error: postcard::Error) -> Self {
        match error {
            postcard::Error::SerializeSeqLengthUnknown => Reason::NoLength.into(),
            error => Reason::Other(error.to_string()).into(),
        }
    }
}

impl Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Reason::TooDeep => write!(f, "it is nested more than {WRITE_DEPTH} deep"),
            Reason::TooEmpty => write!(f, "a list has more than {MAX_EMPTY} elements without content"),
            Reason::NoLength => {
                f.write_str("a list or map does not know its length (`flatten` makes such a map)")
            }
            Reason::LeftOut(field) => write!(
                f,
                "field `{field}` is left out by `skip_serializing_if`, but fields are stored by position; \
                 remove it, or keep state in a type of its own"
            ),
            Reason::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Unwritten {}

impl serde::ser::Error for Unwritten {
    fn custom<M: Display>(message: M) -> Self {
        Reason::Other(message.to_string()).into()
    }
}

/// Postcard's serializer, which refuses what the decoder would.
struct Guard<'a> {
    output: &'a mut postcard::Serializer<Append>,
    left: u32,
}

type Done = Result<(), Unwritten>;

impl Guard<'_> {
    #[inline]
    fn deeper(self) -> Result<Self, Unwritten> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left, ..self }),
            None => Err(Reason::TooDeep.into()),
        }
    }

    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, part: &T) -> Done {
        part.serialize(Guard { output: &mut *self.output, left: self.left })
    }

    /// Begins a variant: its index, and what it holds.
    #[inline]
    fn variant(self, index: u32) -> Result<Self, Unwritten> {
        self.output.serialize_u32(index)?;
        self.deeper()
    }

    #[inline]
    fn end_list(&self, start: usize, len: usize) -> Done {
        // So many elements without a byte could only be bytes gone wrong, to the decoder.
        if len > MAX_EMPTY && self.output.output.0.len() - start < len {
            return Err(Reason::TooEmpty.into());
        }
        Ok(())
    }
}

/// A list or map being written: where its content begins, and how many elements it claims.
struct List<'a> {
    guard: Guard<'a>,
    start: usize,
    len: usize,
}

macro_rules! scalars {
    ($($method:ident($type:ty);)*) => { $(
        #[inline]
        fn $method(self, value: $type) -> Done {
            Ok(self.output.$method(value)?)
        }
    )* };
}

impl<'a> Serializer for Guard<'a> {
    type Ok = ();
    type Error = Unwritten;
    type SerializeSeq = List<'a>;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = List<'a>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn is_human_readable(&self) -> bool {
        false
    }

    scalars! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
    }

    #[inline]
    fn serialize_none(self) -> Done {
        Ok(self.output.serialize_none()?)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.output.serialize_u8(1)?;
        value.serialize(self.deeper()?)
    }

    #[inline]
    fn serialize_unit(self) -> Done {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _name: &'static str) -> Done {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(self, _name: &'static str, index: u32, _variant: &'static str) -> Done {
        Ok(self.output.serialize_u32(index)?)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Done {
        value.serialize(self.variant(index)?)
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<List<'a>, Unwritten> {
        self.output.serialize_seq(len)?;
        let start = self.output.output.0.len();
        Ok(List { guard: self.deeper()?, start, len: len.unwrap_or(0) })
    }

    #[inline]
    fn serialize_tuple(self, _len: usize) -> Result<Self, Unwritten> {
        self.deeper()
    }

    #[inline]
    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Self, Unwritten> {
        self.deeper()
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self, Unwritten> {
        self.variant(index)
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<List<'a>, Unwritten> {
        self.serialize_seq(len)
    }

    #[inline]
    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Self, Unwritten> {
        self.deeper()
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self, Unwritten> {
        self.variant(index)
    }

    #[inline]
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Done {
        Ok(self.output.collect_str(value)?)
    }
}

impl SerializeSeq for List<'_> {
    type Ok = ();
    type Error = Unwritten;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Done {
        self.guard.part(element)
    }

    #[inline]
    fn end(self) -> Done {
        self.guard.end_list(self.start, self.len)
    }
}

impl SerializeMap for List<'_> {
    type Ok = ();
    type Error = Unwritten;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.guard.part(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.guard.part(value)
    }

    #[inline]
    fn end(self) -> Done {
        self.guard.end_list(self.start, self.len)
    }
}

macro_rules! parts {
    ($($trait:ident::$method:ident($($name:ty)?) $($skip:ident)?;)*) => { $(
        impl $trait for Guard<'_> {
            type Ok = ();
            type Error = Unwritten;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $name,)? part: &T) -> Done {
                self.part(part)
            }

            $(
                fn $skip(&mut self, field: &'static str) -> Done {
                    Err(Reason::LeftOut(field).into())
                }
            )?

            #[inline]
            fn end(self) -> Done {
                Ok(())
            }
        }
    )* };
}

parts! {
    SerializeTuple::serialize_element();
    SerializeTupleStruct::serialize_field();
    SerializeTupleVariant::serialize_field();
    SerializeStruct::serialize_field(&'static str) skip_field;
    SerializeStructVariant::serialize_field(&'static str) skip_field;
}
