//! Which names of a field or variant mean the same one.

use super::super::error::ShapeError;
use super::super::shape::Id;
use super::probe::{Filled, Ident};
use super::{Place, Tracer};

/// A name that nobody gives to a field or variant.
const NOBODY: &str = "\u{0}nobody";

impl Tracer {
    /// The names by what they mean, in the order of first mention.
    pub(super) fn groups(
        &self,
        place: &Place,
        names: &'static [&'static str],
    ) -> Vec<(Option<u64>, Vec<&'static str>)> {
        let mut groups: Vec<(Option<u64>, Vec<&'static str>)> = Vec::new();
        let nobody = self.ask(place, Ident::Name(NOBODY));
        for name in names {
            let number = self.ask(place, Ident::Name(name));
            // A type that reads names as text takes them all alike: then each stands for itself.
            let number = number.filter(|_| number != nobody);
            match groups.iter_mut().find(|(known, _)| number.is_some() && *known == number) {
                Some((_, group)) => group.push(name),
                None => groups.push((number, vec![name])),
            }
        }
        groups
    }

    /// The first of a field's names: it is the one that a field given twice complains about.
    pub(super) fn primary(&self, place: &Place, names: &[&'static str], node: Id) -> &'static str {
        let twice = [(names[0], node), (names[0], node)];
        match self.fill(place, &twice) {
            Filled::Duplicate(name) if names.contains(&name) => name,
            _ => names[0],
        }
    }

    /// The names of the variants in the order of their indexes.
    pub(super) fn variants(
        &self,
        place: &Place,
        names: &'static [&'static str],
    ) -> Result<Vec<Vec<&'static str>>, ShapeError> {
        let mut groups = self.groups(place, names);
        if groups.iter().all(|(number, _)| number.is_none()) {
            return Ok(groups.into_iter().map(|(_, names)| names).collect());
        }
        let nobody = self.ask(place, Ident::Name(NOBODY));
        let mut ordered = Vec::with_capacity(groups.len());
        for index in 0..groups.len() as u32 {
            let number = self.ask(place, Ident::Index(index));
            // A variant with `#[serde(other)]` is what unknown names mean.
            let wanted = number.filter(|_| number != nobody);
            let Some(at) = groups.iter().position(|(known, _)| number.is_some() && *known == wanted) else {
                return Err(place.untraceable("its variants are not read by their indexes"));
            };
            ordered.push(groups.remove(at).1);
        }
        Ok(ordered)
    }
}
