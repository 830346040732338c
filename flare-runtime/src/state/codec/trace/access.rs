//! What a probe hands to a visitor: one field, one entry, one variant, or samples.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::mem::discriminant;

use fnv::FnvHasher;
use serde::de::value::{BorrowedStrDeserializer, U32Deserializer};
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::super::shape::Id;
use super::probe::{Ident, Probe, Report, Stop};
use super::sample::{Level, Samples};

/// Samples for the items before the one that the probe goes to.
pub(crate) struct Items<'a> {
    before: std::slice::Iter<'a, Id>,
    probe: Option<Probe<'a>>,
}

impl<'a> Items<'a> {
    pub(crate) fn new(before: &'a [Id], probe: Probe<'a>) -> Self {
        Self { before: before.iter(), probe: Some(probe) }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Stop;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stop> {
        let Some(probe) = self.probe else { return Ok(None) };
        match self.before.next() {
            Some(id) => seed.deserialize(probe.samples.value(*id, probe.level)).map(Some),
            None => {
                self.probe = None;
                seed.deserialize(probe).map(Some)
            }
        }
    }
}

/// One entry of a map, whose key (without `key`) or value the probe goes to.
pub(crate) struct Entry<'a> {
    pub(crate) key: Option<Id>,
    pub(crate) probe: Probe<'a>,
}

impl<'de> MapAccess<'de> for Entry<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        match self.key {
            Some(id) => seed.deserialize(self.probe.samples.value(id, self.probe.level)).map(Some),
            None => seed.deserialize(self.probe).map(Some),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        seed.deserialize(self.probe)
    }

    fn next_entry_seed<K: DeserializeSeed<'de>, V: DeserializeSeed<'de>>(
        &mut self,
        key: K,
        value: V,
    ) -> Result<Option<(K::Value, V::Value)>, Stop> {
        // The maps of std read entries; so their values are reached without a key, whatever keys they take.
        match self.key {
            Some(_) => value.deserialize(self.probe).map(|_| ()),
            None => key.deserialize(self.probe).map(|_| ()),
        }?;
        Err(Stop::Done)
    }
}

/// One field of a struct.
pub(crate) struct OneField<'a> {
    name: Option<&'static str>,
    probe: Probe<'a>,
}

impl<'a> OneField<'a> {
    pub(crate) fn new(name: &'static str, probe: Probe<'a>) -> Self {
        Self { name: Some(name), probe }
    }
}

impl<'de> MapAccess<'de> for OneField<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        let name = self.name.take();
        name.map(|name| seed.deserialize(BorrowedStrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        seed.deserialize(self.probe)
    }
}

/// A struct's fields with samples for values.
pub(crate) struct Fill<'a> {
    fields: &'a [(&'static str, Id)],
    samples: &'a Samples,
    level: Level,
}

impl<'a> Fill<'a> {
    pub(crate) fn new(fields: &'a [(&'static str, Id)], samples: &'a Samples, level: Level) -> Self {
        Self { fields, samples, level }
    }
}

impl<'de> MapAccess<'de> for Fill<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        let next = self.fields.first();
        next.map(|(name, _)| seed.deserialize(BorrowedStrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        let Some(((_, id), rest)) = self.fields.split_first() else { return Err(Stop::Done) };
        self.fields = rest;
        // A sample that is refused says nothing about the struct around it.
        let value = seed.deserialize(self.samples.value(*id, self.level));
        value.map_err(|error| Stop::Other(error.to_string()))
    }
}

/// A variant by its index.
pub(crate) struct Pick<'a> {
    pub(crate) index: u32,
    pub(crate) probe: Probe<'a>,
}

impl<'de, 'a> EnumAccess<'de> for Pick<'a> {
    type Error = Stop;
    type Variant = Probe<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Probe<'a>), Stop> {
        let index: U32Deserializer<Stop> = self.index.into_deserializer();
        Ok((seed.deserialize(index)?, self.probe))
    }
}

/// Notes which field or variant a name or index means, and stops.
///
/// What serde's derive makes of a name is an enum of its own; two names mean the same field if they give the
/// same variant of that enum. For other types `discriminant` is some constant, which the caller notices.
pub(crate) struct Ask<'a> {
    pub(crate) ident: Ident,
    pub(crate) report: &'a RefCell<Report>,
}

impl Ask<'_> {
    fn ask<'de, S: DeserializeSeed<'de>>(&self, seed: S) -> Result<(), Stop> {
        let meant = match self.ident {
            Ident::Name(name) => seed.deserialize(BorrowedStrDeserializer::<Stop>::new(name))?,
            Ident::Index(index) => {
                let index: U32Deserializer<Stop> = index.into_deserializer();
                seed.deserialize(index)?
            }
        };
        let mut hasher = FnvHasher::default();
        discriminant(&meant).hash(&mut hasher);
        self.report.borrow_mut().number = Some(hasher.finish());
        Err(Stop::Done)
    }
}

impl<'de> MapAccess<'de> for Ask<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        self.ask(seed)?;
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, _seed: V) -> Result<V::Value, Stop> {
        Err(Stop::Done)
    }
}

impl<'de> EnumAccess<'de> for Ask<'_> {
    type Error = Stop;
    type Variant = Nothing;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Nothing), Stop> {
        self.ask(seed)?;
        Err(Stop::Done)
    }
}

/// Never made: [`Ask`] stops before.
pub(crate) enum Nothing {}

impl<'de> VariantAccess<'de> for Nothing {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        match self {}
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _seed: S) -> Result<S::Value, Stop> {
        match self {}
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, Stop> {
        match self {}
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Stop> {
        match self {}
    }
}
