//! Makes some value of a part that is already described, where serde wants one before it goes on.

use serde::Deserializer;
use serde::de::value::U32Deserializer;
use serde::de::{DeserializeSeed, EnumAccess, IntoDeserializer, SeqAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::super::shape::{Id, Node, Scalar};
use super::probe::Stop;

/// Which value to make. Types that refuse the least one (`NonZeroU8`) mostly take the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Least,
    One,
}

pub(crate) const LEVELS: [Level; 2] = [Level::Least, Level::One];

/// The parts described so far; `None` for one that is still being described.
pub(crate) struct Samples {
    nodes: Vec<Option<Node>>,
    /// How deep the smallest value of a part is, `u32::MAX` where it has no end yet.
    ranks: Vec<u32>,
}

impl Samples {
    pub(crate) fn new(nodes: Vec<Option<Node>>) -> Self {
        let mut ranks = vec![u32::MAX; nodes.len()];
        let mut changed = true;
        while changed {
            changed = false;
            for (id, node) in nodes.iter().enumerate().rev() {
                let rank = node.as_ref().map_or(u32::MAX, |node| rank(node, &ranks));
                changed |= std::mem::replace(&mut ranks[id], rank) != rank;
            }
        }
        Self { nodes, ranks }
    }

    pub(crate) fn value(&self, id: Id, level: Level) -> Sample<'_> {
        Sample { samples: self, id, level }
    }
}

fn rank(node: &Node, ranks: &[u32]) -> u32 {
    let of = |id: Id| ranks[id as usize];
    match node {
        Node::Scalar(_) | Node::Option(_) | Node::Seq(_) | Node::Map(..) => 0,
        Node::Tuple(items) => items.iter().map(|id| of(*id).saturating_add(1)).max().unwrap_or(0),
        Node::Struct(fields) => {
            fields.iter().map(|field| of(field.node).saturating_add(1)).max().unwrap_or(0)
        }
        Node::Enum(variants) => {
            variants.iter().map(|variant| of(variant.node).saturating_add(1)).min().unwrap_or(u32::MAX)
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Sample<'a> {
    samples: &'a Samples,
    id: Id,
    level: Level,
}

impl<'a> Sample<'a> {
    fn at(self, id: Id) -> Self {
        Self { id, ..self }
    }

    fn list(self, items: Vec<Id>) -> List<'a> {
        List { sample: self, items: items.into_iter() }
    }

    fn scalar<'de, V: Visitor<'de>>(self, scalar: Scalar, visitor: V) -> Result<V::Value, Stop> {
        let one = self.level == Level::One;
        match scalar {
            Scalar::Unit => visitor.visit_unit(),
            Scalar::Bool => visitor.visit_bool(one),
            Scalar::Char => visitor.visit_char(if one { 'a' } else { '0' }),
            Scalar::Text => visitor.visit_borrowed_str(if one { "1" } else { "" }),
            Scalar::Bytes => visitor.visit_borrowed_bytes(if one { b"1" } else { b"" }),
            Scalar::F32 => visitor.visit_f32(u8::from(one).into()),
            Scalar::F64 => visitor.visit_f64(u8::from(one).into()),
            Scalar::I8 => visitor.visit_i8(one.into()),
            Scalar::I16 => visitor.visit_i16(one.into()),
            Scalar::I32 => visitor.visit_i32(one.into()),
            Scalar::I64 => visitor.visit_i64(one.into()),
            Scalar::I128 => visitor.visit_i128(one.into()),
            Scalar::U8 => visitor.visit_u8(one.into()),
            Scalar::U16 => visitor.visit_u16(one.into()),
            Scalar::U32 => visitor.visit_u32(one.into()),
            Scalar::U64 => visitor.visit_u64(one.into()),
            Scalar::U128 => visitor.visit_u128(one.into()),
        }
    }
}

impl<'de> Deserializer<'de> for Sample<'_> {
    type Error = Stop;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        // A value without an end would overflow the stack.
        let rank = |id: Id| self.samples.ranks[id as usize];
        let node = self.samples.nodes[self.id as usize].as_ref();
        let Some(node) = node.filter(|_| rank(self.id) < u32::MAX) else {
            return Err(Stop::Other("it contains itself".into()));
        };
        match node {
            Node::Scalar(scalar) => self.scalar(*scalar, visitor),
            Node::Option(_) => visitor.visit_none(),
            Node::Seq(element) if self.level == Level::One && rank(*element) == 0 => {
                visitor.visit_seq(self.list(vec![*element]))
            }
            Node::Seq(_) => visitor.visit_seq(self.list(Vec::new())),
            Node::Map(..) => visitor.visit_map(Empty),
            Node::Tuple(_) | Node::Struct(_) => visitor.visit_seq(self.list(node.children())),
            Node::Enum(_) => visitor.visit_enum(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct List<'a> {
    sample: Sample<'a>,
    items: std::vec::IntoIter<Id>,
}

impl<'de> SeqAccess<'de> for List<'_> {
    type Error = Stop;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stop> {
        self.items.next().map(|id| seed.deserialize(self.sample.at(id))).transpose()
    }
}

struct Empty;

impl<'de> serde::de::MapAccess<'de> for Empty {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, _seed: K) -> Result<Option<K::Value>, Stop> {
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, _seed: V) -> Result<V::Value, Stop> {
        Err(Stop::Other("the sample map is empty".into()))
    }
}

impl<'de> EnumAccess<'de> for Sample<'_> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Stop> {
        let Some(Node::Enum(variants)) = &self.samples.nodes[self.id as usize] else {
            return Err(Stop::Other("it asked for a variant where it has none".into()));
        };
        let least =
            variants.iter().enumerate().min_by_key(|(_, variant)| self.samples.ranks[variant.node as usize]);
        let (index, variant) = least.ok_or_else(|| Stop::Other("it has no variants".into()))?;
        let index: U32Deserializer<Stop> = (index as u32).into_deserializer();
        Ok((seed.deserialize(index)?, self.at(variant.node)))
    }
}

impl<'de> VariantAccess<'de> for Sample<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Stop> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_any(visitor)
    }
}
