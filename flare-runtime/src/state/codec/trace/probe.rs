//! A deserializer that goes to one part of a type, does one thing there, and stops.
//!
//! Stopping by an error means that no value of the type is ever made: a field or a variant is reached without
//! its neighbours. Only the items of a tuple stand behind each other; there, samples stand in.

use std::any::type_name;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use serde::Deserializer;
use serde::de::Visitor;

use super::super::shape::{Id, Scalar};
use super::access::{Ask, Entry, Fill, Items, OneField, Pick};
use super::sample::{Level, Samples};

/// More newtypes around each other than this are a type that wraps only itself.
const MAX_NEWTYPES: usize = 64;

/// One step towards the part.
#[derive(Clone, Debug)]
pub(crate) enum Hop {
    Inner,
    Element,
    Key,
    /// With the key's part, for types that read the key first.
    Value(Id),
    /// Behind these items.
    Item(Rc<[Id]>),
    Field(&'static str),
    Variant(u32),
}

/// How a field or variant is named to its type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ident {
    Name(&'static str),
    Index(u32),
}

/// What to do at the part.
#[derive(Clone, Copy)]
pub(crate) enum Task<'a> {
    /// Note what the part asks for.
    Look,
    /// Find out which field or variant a name or index means.
    Ask(Ident),
    /// Hand a struct these fields only, and see what it says.
    Fill(&'a [(&'static str, Id)]),
}

/// What a type asks for.
#[derive(Clone, Debug)]
pub(crate) enum Head {
    Scalar(Scalar),
    Option,
    Seq,
    Map,
    Tuple(usize),
    Struct(&'static [&'static str]),
    Enum(&'static [&'static str]),
}

/// Tells types apart: the visitor's and its value's name, the name in serde, and the names inside.
pub(crate) type Identity = (&'static str, &'static str, &'static str, &'static [&'static str]);

/// How a struct took the fields that it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    Whole,
    Missing(&'static str),
    Duplicate(&'static str),
    Refused,
}

/// What was found; it travels beside the result, because types may replace errors by their own.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) head: Option<Head>,
    pub(crate) identities: Vec<Identity>,
    /// The number of the field or variant that was asked for.
    pub(crate) number: Option<u64>,
    pub(crate) filled: Option<Filled>,
    pub(crate) refusal: Option<String>,
}

/// Ends a probe.
#[derive(Debug)]
pub(crate) enum Stop {
    Done,
    Missing(&'static str),
    Duplicate(&'static str),
    Other(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Missing(field) => write!(f, "missing field `{field}`"),
            Self::Duplicate(field) => write!(f, "duplicate field `{field}`"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Stop {}

impl serde::de::Error for Stop {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self::Other(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Duplicate(field)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Probe<'a> {
    pub(crate) hops: &'a [Hop],
    pub(crate) task: Task<'a>,
    pub(crate) samples: &'a Samples,
    pub(crate) level: Level,
    pub(crate) report: &'a RefCell<Report>,
}

impl<'a> Probe<'a> {
    /// The next hop and the probe behind it; `None` at the part itself.
    fn step(self) -> Option<(&'a Hop, Self)> {
        self.hops.split_first().map(|(hop, hops)| (hop, Self { hops, ..self }))
    }

    fn look<V>(self, head: Head) -> Result<V, Stop> {
        if self.hops.is_empty() && matches!(self.task, Task::Look) {
            self.report.borrow_mut().head = Some(head);
        }
        Err(Stop::Done)
    }

    fn identify<'de, V: Visitor<'de>>(self, name: &'static str, names: &'static [&'static str]) {
        if self.hops.is_empty() {
            let identity = (type_name::<V>(), type_name::<V::Value>(), name, names);
            self.report.borrow_mut().identities.push(identity);
        }
    }

    fn refuse<V>(self, reason: &str) -> Result<V, Stop> {
        self.report.borrow_mut().refusal = Some(reason.to_owned());
        Err(Stop::Done)
    }

    fn structure<'de, V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match (self.step(), self.task) {
            (Some((Hop::Field(name), probe)), _) => visitor.visit_map(OneField::new(name, probe)),
            (None, Task::Ask(ident)) => visitor.visit_map(Ask { ident, report: self.report }),
            (None, Task::Fill(fields)) => {
                let filled = visitor.visit_map(Fill::new(fields, self.samples, self.level));
                self.report.borrow_mut().filled = Some(match &filled {
                    Ok(_) => Filled::Whole,
                    Err(Stop::Missing(field)) => Filled::Missing(field),
                    Err(Stop::Duplicate(field)) => Filled::Duplicate(field),
                    Err(_) => Filled::Refused,
                });
                filled
            }
            _ => self.look(Head::Struct(fields)),
        }
    }
}

macro_rules! scalars {
    ($($method:ident => $scalar:ident,)*) => { $(
        fn $method<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Stop> {
            self.look(Head::Scalar(Scalar::$scalar))
        }
    )* };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Stop;

    fn is_human_readable(&self) -> bool {
        false
    }

    scalars! {
        deserialize_bool => Bool,
        deserialize_char => Char,
        deserialize_str => Text,
        deserialize_string => Text,
        deserialize_bytes => Bytes,
        deserialize_byte_buf => Bytes,
        deserialize_f32 => F32,
        deserialize_f64 => F64,
        deserialize_i8 => I8,
        deserialize_i16 => I16,
        deserialize_i32 => I32,
        deserialize_i64 => I64,
        deserialize_i128 => I128,
        deserialize_u8 => U8,
        deserialize_u16 => U16,
        deserialize_u32 => U32,
        deserialize_u64 => U64,
        deserialize_u128 => U128,
        deserialize_unit => Unit,
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Stop> {
        self.refuse(
            "it reads whatever comes, so its shape is not known; \
             keyed state cannot hold `untagged` or `tag` enums and types such as `serde_json::Value`",
        )
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Stop> {
        self.refuse("it reads whatever comes and drops it, so its shape is not known")
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Stop> {
        self.refuse(
            "it reads names of fields as a map's keys; keyed state cannot hold structs with `flatten`",
        )
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.step() {
            Some((Hop::Inner, probe)) => visitor.visit_some(probe),
            _ => self.look(Head::Option),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.identify::<V>(name, &[]);
        if self.report.borrow().identities.len() > MAX_NEWTYPES {
            return self.refuse("it wraps only itself");
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.step() {
            Some((Hop::Element, probe)) => visitor.visit_seq(Items::new(&[], probe)),
            _ => self.look(Head::Seq),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        match self.step() {
            Some((Hop::Item(before), probe)) => visitor.visit_seq(Items::new(before, probe)),
            _ => self.look(Head::Tuple(len)),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.identify::<V>(name, &[]);
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.step() {
            Some((Hop::Key, probe)) => visitor.visit_map(Entry { key: None, probe }),
            Some((Hop::Value(key), probe)) => visitor.visit_map(Entry { key: Some(*key), probe }),
            _ => self.look(Head::Map),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.identify::<V>(name, fields);
        self.structure(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.identify::<V>(name, variants);
        match (self.step(), self.task) {
            (Some((Hop::Variant(index), probe)), _) => visitor.visit_enum(Pick { index: *index, probe }),
            (None, Task::Ask(ident)) => visitor.visit_enum(Ask { ident, report: self.report }),
            _ => self.look(Head::Enum(variants)),
        }
    }
}

impl<'de> serde::de::VariantAccess<'de> for Probe<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        self.look(Head::Scalar(Scalar::Unit))
    }

    fn newtype_variant_seed<S: serde::de::DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Stop> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.structure(fields, visitor)
    }
}
