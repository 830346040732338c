//! Everything that the attributes of this binary declare, in one sorted list.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};

use super::declare::{ConnectorDeclaration, JobDeclaration, LookupDeclaration};
use crate::config::{Place, Problems};

/// The declarations by name. `inventory` gives them in any order, so this is the one place that reads it.
pub(crate) struct Declared {
    pub(crate) jobs: Vec<&'static JobDeclaration>,
    pub(crate) connectors: Vec<&'static ConnectorDeclaration>,
    pub(crate) lookups: Vec<&'static LookupDeclaration>,
    /// Names that two connectors or two lookups have, with both places.
    duplicates: Vec<Duplicate>,
}

impl Declared {
    /// Collects and sorts; a job's name used twice is a problem that shows both places.
    pub(crate) fn collect(problems: &mut Problems) -> Self {
        let mut jobs: Vec<_> = inventory::iter::<JobDeclaration>().collect();
        let mut connectors: Vec<_> = inventory::iter::<ConnectorDeclaration>().collect();
        let mut lookups: Vec<_> = inventory::iter::<LookupDeclaration>().collect();
        jobs.sort_by_key(|job| (job.name, job.place.file, job.place.line));
        connectors.sort_by_key(|connector| (connector.name, connector.place.file, connector.place.line));
        lookups.sort_by_key(|lookup| (lookup.name, lookup.place.file, lookup.place.line));
        for duplicate in duplicates("job", jobs.iter().map(|job| (job.name, job.place))) {
            complain(duplicate, problems);
        }
        let named = connectors.iter().map(|connector| (connector.name, connector.place));
        let mut duplicated = duplicates("connector", named);
        duplicated.extend(duplicates("lookup", lookups.iter().map(|lookup| (lookup.name, lookup.place))));
        Self { jobs, connectors, lookups, duplicates: duplicated }
    }

    /// Notes that one of the `used` sections belongs to two connectors or lookups: configuration could not tell them
    /// apart.
    pub(crate) fn check_names(&self, used: &BTreeSet<&str>, problems: &mut Problems) {
        for duplicate in &self.duplicates {
            let (kind, name, ..) = duplicate;
            let sections: &[&str] = if *kind == "lookup" { &["lookup"] } else { &["source", "sink"] };
            if sections.iter().any(|section| used.contains(format!("{section}.{name}").as_str())) {
                complain(*duplicate, problems);
            }
        }
    }

    /// The connectors declared for a struct.
    pub(crate) fn connectors_of(&self, type_id: TypeId) -> Vec<&'static ConnectorDeclaration> {
        let of_type = self.connectors.iter().filter(|connector| (connector.type_id)() == type_id);
        of_type.copied().collect()
    }

    /// The lookup declared for a struct.
    pub(crate) fn lookup_of(&self, type_id: TypeId) -> Option<&'static LookupDeclaration> {
        self.lookups.iter().find(|lookup| (lookup.type_id)() == type_id).copied()
    }

    /// Sections that belong to a declaration, whether the job at hand uses it or not.
    pub(crate) fn sections(&self) -> impl Iterator<Item = String> {
        let connectors = self.connectors.iter();
        let roles = connectors
            .flat_map(|connector| [format!("source.{}", connector.name), format!("sink.{}", connector.name)]);
        roles.chain(self.lookups.iter().map(|lookup| format!("lookup.{}", lookup.name)))
    }
}

/// A kind, a name, and the places where it stands twice.
type Duplicate = (&'static str, &'static str, Place, Place);

fn duplicates(kind: &'static str, names: impl Iterator<Item = (&'static str, Place)>) -> Vec<Duplicate> {
    let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
    let twice = |(name, place)| seen.insert(name, place).map(|first| (kind, name, first, place));
    names.filter_map(twice).collect()
}

fn complain((kind, name, first, place): Duplicate, problems: &mut Problems) {
    let message = format!("the {kind} name `{name}` is used twice, first at {first}");
    problems.add("duplicate-name", place, message, "give one of them another `name = \"…\"`");
}
