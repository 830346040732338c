//! Reads a value of a stored shape as a type of another: serde's deserializer over bytes and a plan.

use serde::Deserializer;
use serde::de::value::{StrDeserializer, U32Deserializer};
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::Segment;
use super::plan::{Plan, Step, StepId, Stored};
use super::reader::{Cause, Failure, READ_DEPTH, Reader};
use super::widen;

/// One stored part. What the type asks for is known from its shape, so the plan alone says what to give.
pub(crate) struct Evolve<'a, 'de> {
    plan: &'a Plan,
    reader: &'a mut Reader<'de>,
    step: StepId,
    left: u32,
}

impl<'a, 'de> Evolve<'a, 'de> {
    pub(crate) fn new(plan: &'a Plan, reader: &'a mut Reader<'de>) -> Self {
        Self { plan, reader, step: 0, left: READ_DEPTH }
    }

    fn to(self, step: StepId) -> Self {
        Self { step, ..self }
    }

    fn part(&mut self, step: StepId) -> Evolve<'_, 'de> {
        Evolve { plan: self.plan, reader: self.reader, step, left: self.left }
    }

    fn option<V: Visitor<'de>>(self, some: StepId, visitor: V) -> Result<V::Value, Failure> {
        match self.reader.take::<u8>()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self.to(some)),
            _ => Err(Cause::Malformed("an option that is neither 0 nor 1").into()),
        }
    }

    fn elements<V: Visitor<'de>>(
        self,
        steps: Steps<'a>,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let mut elements = Elements { part: self, steps, index: 0, len };
        let value = visitor.visit_seq(&mut elements)?;
        elements.end()?;
        Ok(value)
    }

    fn entries<V: Visitor<'de>>(
        self,
        (key, value): (StepId, StepId),
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let mut entries = Entries { part: self, key, value, left: len };
        let map = visitor.visit_map(&mut entries)?;
        if entries.left > 0 { Err(unread()) } else { Ok(map) }
    }

    fn fields<V: Visitor<'de>>(
        self,
        fields: &'a [Stored],
        in_order: bool,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let mut fields = Fields { part: self, rest: fields, name: "", step: 0 };
        // By position there are no names to compare.
        let value = if in_order { visitor.visit_seq(&mut fields) } else { visitor.visit_map(&mut fields) }?;
        if fields.next()?.is_some() { Err(unread()) } else { Ok(value) }
    }
}

/// The type stopped before the end of a list, so what follows would be read wrongly.
fn unread() -> Failure {
    Cause::Refused("the type does not read all that is stored".into()).into()
}

impl<'de> Deserializer<'de> for Evolve<'_, 'de> {
    type Error = Failure;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Failure> {
        self.left = self.left.checked_sub(1).ok_or(Cause::TooDeep)?;
        match &self.plan.steps[self.step as usize] {
            Step::Scalar(was, is) => widen::read(self.reader, *was, *is, visitor),
            Step::Wrap(inner) => visitor.visit_some(self.to(*inner)),
            Step::Option(some) => self.option(*some, visitor),
            Step::Seq { element, least } => {
                let len = self.reader.len(*least)?;
                self.elements(Steps::Same(*element), len, visitor)
            }
            Step::Map { key, value, least } => {
                let len = self.reader.len(*least)?;
                self.entries((*key, *value), len, visitor)
            }
            Step::Tuple(items) => self.elements(Steps::Each(items), items.len(), visitor),
            Step::Struct { fields, in_order } => self.fields(fields, *in_order, visitor),
            Step::Enum(_) => visitor.visit_enum(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The steps of a list's elements, or of a tuple's items.
enum Steps<'a> {
    Same(StepId),
    Each(&'a [StepId]),
}

struct Elements<'a, 'de> {
    part: Evolve<'a, 'de>,
    steps: Steps<'a>,
    index: usize,
    len: usize,
}

impl Elements<'_, '_> {
    fn end(&self) -> Result<(), Failure> {
        if self.index < self.len { Err(unread()) } else { Ok(()) }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        if self.index == self.len {
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        let step = match self.steps {
            Steps::Same(step) => step,
            Steps::Each(steps) => steps[index],
        };
        let element = seed.deserialize(self.part.part(step));
        element.map(Some).map_err(|failure| failure.at(Segment::Item(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.index)
    }
}

struct Entries<'a, 'de> {
    part: Evolve<'a, 'de>,
    key: StepId,
    value: StepId,
    left: usize,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let key = seed.deserialize(self.part.part(self.key));
        key.map(Some).map_err(|failure| failure.at(Segment::Key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let value = seed.deserialize(self.part.part(self.value));
        value.map_err(|failure| failure.at(Segment::Value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

struct Fields<'a, 'de> {
    part: Evolve<'a, 'de>,
    rest: &'a [Stored],
    /// The field whose value comes next.
    name: &'a str,
    step: StepId,
}

impl<'a> Fields<'a, '_> {
    /// The next field that the type still has; those before it are passed over.
    fn next(&mut self) -> Result<Option<(&'a str, StepId)>, Failure> {
        while let Some((stored, rest)) = self.rest.split_first() {
            self.rest = rest;
            if let Some((name, step)) = &stored.kept {
                return Ok(Some((name, *step)));
            }
            self.part.plan.stored.skip(self.part.reader, stored.node, self.part.left)?;
        }
        Ok(None)
    }
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let Some((name, step)) = self.next()? else { return Ok(None) };
        let field = seed.deserialize(self.part.part(step));
        field.map(Some).map_err(|failure| failure.at(Segment::Field(name.to_owned())))
    }
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let Some((name, step)) = self.next()? else { return Ok(None) };
        self.name = name;
        self.step = step;
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let value = seed.deserialize(self.part.part(self.step));
        value.map_err(|failure| failure.at(Segment::Field(self.name.to_owned())))
    }
}

impl<'de> EnumAccess<'de> for Evolve<'_, 'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Failure> {
        let Step::Enum(variants) = &self.plan.steps[self.step as usize] else {
            return Err(unread());
        };
        let variant = variants.get(self.reader.take::<u32>()? as usize);
        match variant.ok_or(Cause::Malformed("a variant that does not exist"))? {
            Ok((index, step)) => {
                let index: U32Deserializer<Failure> = (*index).into_deserializer();
                Ok((seed.deserialize(index)?, self.to(*step)))
            }
            Err(name) => Err(Cause::VariantGone(name.clone()).into()),
        }
    }
}

impl<'de> VariantAccess<'de> for Evolve<'_, 'de> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_any(visitor)
    }
}
