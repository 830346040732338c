//! Everything that the attributes of this binary declare, in one sorted list.

use std::any::TypeId;
use std::collections::BTreeMap;

use super::declare::{ConnectorDeclaration, JobDeclaration, LookupDeclaration};
use crate::config::{Place, Problems};

/// The declarations by name. `inventory` gives them in any order, so this is the one place that reads it.
pub(crate) struct Declared {
    pub(crate) jobs: Vec<&'static JobDeclaration>,
    pub(crate) connectors: Vec<&'static ConnectorDeclaration>,
    pub(crate) lookups: Vec<&'static LookupDeclaration>,
}

impl Declared {
    /// Collects and sorts; a name used twice is a problem that shows both places.
    pub(crate) fn collect(problems: &mut Problems) -> Self {
        let mut jobs: Vec<_> = inventory::iter::<JobDeclaration>().collect();
        let mut connectors: Vec<_> = inventory::iter::<ConnectorDeclaration>().collect();
        let mut lookups: Vec<_> = inventory::iter::<LookupDeclaration>().collect();
        jobs.sort_by_key(|job| (job.name, job.place.file, job.place.line));
        connectors.sort_by_key(|connector| (connector.name, connector.place.file, connector.place.line));
        lookups.sort_by_key(|lookup| (lookup.name, lookup.place.file, lookup.place.line));
        unique("job", jobs.iter().map(|job| (job.name, job.place)), problems);
        unique("connector", connectors.iter().map(|connector| (connector.name, connector.place)), problems);
        unique("lookup", lookups.iter().map(|lookup| (lookup.name, lookup.place)), problems);
        Self { jobs, connectors, lookups }
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

fn unique(kind: &str, names: impl Iterator<Item = (&'static str, Place)>, problems: &mut Problems) {
    let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
    for (name, place) in names {
        if let Some(first) = seen.insert(name, place) {
            let message = format!("the {kind} name `{name}` is used twice, first at {first}");
            problems.add("duplicate-name", place, message, "give one of them another `name = \"…\"`");
        }
    }
}
