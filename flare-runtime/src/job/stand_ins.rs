//! What a test puts in the place of sources, sinks and lookups.

use std::any::{Any, TypeId};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::builder::Builder;
use super::declare::LookupRow;
use crate::api::{Decode, Downstream, Lookup, Source, SourceContext, Subtask};
use crate::model::DirtyRecord;
use crate::operators::{Take, Taking, TakingParts};
use crate::plan::{Build, Wiring};

/// Makes a source's subtask; what it gives as bytes is parsed as the struct's own connector would.
pub(crate) type MakeMock<T> = Arc<dyn Fn(SourceContext, Decode<T>) -> Box<dyn Source<T>> + Send + Sync>;

/// A source that a test stands in for.
pub(crate) struct MockedSource<T> {
    pub(crate) make: MakeMock<T>,
    /// Whether it says itself how far event time has come.
    pub(crate) keeps_time: bool,
}

/// All of a test. A job that is not tested has none.
pub(crate) struct StandIns {
    entries: Vec<Entry>,
    used: Mutex<BTreeSet<usize>>,
    /// Takes what is turned aside.
    pub(crate) dirty: Take<DirtyRecord>,
}

struct Entry {
    role: &'static str,
    struct_type: TypeId,
    type_name: &'static str,
    /// The connector's or lookup's name; without it, whichever the struct has.
    name: Option<String>,
    stand_in: Box<dyn Any + Send + Sync>,
}

impl StandIns {
    pub(crate) fn new(dirty: Take<DirtyRecord>) -> Self {
        Self { entries: Vec::new(), used: Mutex::default(), dirty }
    }

    /// Puts `stand_in` in the place of the source, sink or lookup of the struct `T`.
    pub(crate) fn add<T: 'static>(
        &mut self,
        role: &'static str,
        name: Option<&str>,
        stand_in: impl Any + Send + Sync,
    ) {
        self.entries.push(Entry {
            role,
            struct_type: TypeId::of::<T>(),
            type_name: std::any::type_name::<T>(),
            name: name.map(str::to_owned),
            stand_in: Box::new(stand_in),
        });
    }

    fn find<T: 'static, S: 'static>(&self, role: &str, name: &str) -> Option<&S> {
        let fits = |entry: &Entry| {
            let named = entry.name.as_deref().is_none_or(|wanted| wanted == name);
            entry.role == role && entry.struct_type == TypeId::of::<T>() && named
        };
        let index = self.entries.iter().position(fits)?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(index);
        self.entries[index].stand_in.downcast_ref()
    }

    fn unused(&self) -> Vec<String> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = self.entries.iter().enumerate().filter(|(index, _)| !used.contains(index));
        unused
            .map(|(_, entry)| {
                let name = entry.name.as_ref().map(|name| format!(" named `{name}`")).unwrap_or_default();
                format!("the {} of `{}`{name}", entry.role, entry.type_name)
            })
            .collect()
    }
}

impl Builder {
    /// What a test has put there. In a test, what it has not replaced is a problem: nothing outside is asked.
    fn stand_in<T: 'static, S: Clone + 'static>(&mut self, role: &'static str, name: &str) -> Option<S> {
        let found = self.stand_ins.as_ref()?.find::<T, S>(role, name).cloned();
        if found.is_none() {
            let message = "the test puts nothing in its place";
            let remedy = format!("write `test.{role}::<{}>(…)`", short_name::<T>());
            self.problems.add("not-replaced", format!("{role}.{name}"), message, remedy);
        }
        found
    }

    pub(crate) fn mocked_source<T: 'static>(&mut self, name: &str) -> Option<Arc<MockedSource<T>>> {
        self.stand_in::<T, Arc<MockedSource<T>>>("source", name)
    }

    pub(crate) fn mocked_lookup<V: LookupRow>(&mut self, name: &str) -> Option<Arc<dyn Lookup<V::Key, V>>> {
        self.stand_in::<V, Arc<dyn Lookup<V::Key, V>>>("lookup", name)
    }

    pub(crate) fn mocked_sink<T: 'static>(&mut self, name: &str) -> Option<Take<T>> {
        self.stand_in::<T, Take<T>>("sink", name)
    }

    /// Whether this is a test.
    pub(crate) fn is_tested(&self) -> bool {
        self.stand_ins.is_some()
    }

    /// Notes stand-ins of which the job has nothing, once it is described.
    pub(crate) fn check_stand_ins(&mut self) {
        let unused = self.stand_ins.as_ref().map(|stand_ins| stand_ins.unused()).unwrap_or_default();
        for what in unused {
            let message = format!("the test replaces {what}, which the job does not have");
            self.problems.add("unused-stand-in", "test", message, "remove it, or correct the type or name");
        }
    }
}

fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

/// The stage of a sink that `take` stands in for.
pub(crate) fn sink_stage<T: Send + 'static>(take: Take<T>, raw: fn(&T) -> Vec<u8>) -> Build {
    Box::new(move |wiring: &mut Wiring| -> Box<dyn Subtask> {
        let downstream = Downstream::nowhere(wiring.context([].into()));
        let (input, take, last_barrier) = (wiring.input::<T>(), Arc::clone(&take), wiring.last_barrier);
        Box::new(Taking::new(TakingParts { input, downstream, take, raw, last_barrier }))
    })
}
