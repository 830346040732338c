//! Finds the shape of a type: asks its `Deserialize` for one part after the other.
//!
//! `serde-reflection` does this too, but keeps types by their bare name, wants each enum named by the caller, and
//! needs a sample value for each type that checks what it reads. Here a [`Probe`] goes straight to a part and stops
//! there by an error, so that enums anywhere are found, and almost no samples are needed.

mod access;
mod names;
mod probe;
mod sample;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde::de::DeserializeOwned;

use self::probe::{Filled, Head, Hop, Ident, Identity, Probe, Report, Task};
use self::sample::{LEVELS, Level, Samples};
use super::error::{Path, Segment, ShapeError};
use super::shape::{Field, Id, MAX_NODES, Node, Shape, Variant};

const MAX_DEPTH: usize = 128;

/// A type's shape, and the way to each of its parts.
pub(crate) struct Traced {
    pub(crate) shape: Shape,
    tracer: Tracer,
}

/// Describes `T`.
pub(crate) fn trace<T: DeserializeOwned>() -> Result<Traced, ShapeError> {
    let mut tracer = Tracer { run: run::<T>, nodes: Vec::new(), places: Vec::new(), known: HashMap::new() };
    tracer.trace(Place::default())?;
    let nodes = tracer.nodes.iter().cloned().collect::<Option<Vec<_>>>();
    let nodes = nodes.ok_or_else(|| Place::default().untraceable("it is not described to its end"))?;
    Ok(Traced { shape: Shape { nodes }, tracer })
}

/// Lets `T` read from a probe; gives what it says if it fails.
fn run<T: DeserializeOwned>(probe: Probe<'_>) -> Option<String> {
    T::deserialize(probe).err().map(|stop| stop.to_string())
}

impl Traced {
    /// Of the struct `node`, the fields among `absent` that it cannot be read without, found by trying.
    ///
    /// The struct gets samples for all its other fields. If it refuses the samples, nothing is known, and a
    /// missing field is found when a value is read.
    pub(crate) fn required(&self, node: Id, absent: &[&str]) -> Vec<String> {
        let Node::Struct(fields) = self.shape.node(node) else { return Vec::new() };
        let is_absent = |field: &&Field| absent.contains(&field.name.as_ref());
        let mut given: Vec<_> = fields.iter().filter(|field| !is_absent(field)).filter_map(given).collect();
        let mut required = Vec::new();
        let place = &self.tracer.places[node as usize];
        while let Filled::Missing(name) = self.tracer.fill(place, &given) {
            let Some(field) = fields.iter().filter(is_absent).find(|field| field.name == name) else { break };
            if required.iter().any(|known| known == name) {
                break;
            }
            required.push(name.to_owned());
            given.extend(self::given(field));
        }
        required
    }
}

fn given(field: &Field) -> Option<(&'static str, Id)> {
    match field.name {
        std::borrow::Cow::Borrowed(name) => Some((name, field.node)),
        std::borrow::Cow::Owned(_) => None,
    }
}

/// Where a part is: for the probe, and for messages.
#[derive(Clone, Default)]
struct Place {
    hops: Vec<Hop>,
    path: Path,
}

impl Place {
    fn to(&self, hop: Hop, segment: Option<Segment>) -> Self {
        let mut place = self.clone();
        place.hops.push(hop);
        if let Some(segment) = segment {
            place.path.push(segment);
        }
        place
    }

    fn untraceable(&self, reason: impl Into<String>) -> ShapeError {
        ShapeError::Untraceable(self.path.clone(), reason.into())
    }
}

struct Tracer {
    run: fn(Probe<'_>) -> Option<String>,
    /// `None` while a part is being described.
    nodes: Vec<Option<Node>>,
    places: Vec<Place>,
    known: HashMap<Identity, Id>,
}

impl Tracer {
    fn trace(&mut self, place: Place) -> Result<Id, ShapeError> {
        let (head, identities) = self.look(&place)?;
        if let Some(id) = identities.iter().find_map(|identity| self.known.get(identity)) {
            return Ok(*id);
        }
        if self.nodes.len() >= MAX_NODES || place.hops.len() > MAX_DEPTH {
            return Err(ShapeError::TooLarge(place.path));
        }
        let id = self.nodes.len() as Id;
        self.nodes.push(None);
        self.places.push(place.clone());
        self.known.extend(identities.into_iter().map(|identity| (identity, id)));
        let node = self.describe(head, &place)?;
        self.nodes[id as usize] = Some(node);
        Ok(id)
    }

    fn describe(&mut self, head: Head, place: &Place) -> Result<Node, ShapeError> {
        Ok(match head {
            Head::Scalar(scalar) => Node::Scalar(scalar),
            Head::Option => Node::Option(self.trace(place.to(Hop::Inner, None))?),
            Head::Seq => Node::Seq(self.trace(place.to(Hop::Element, Some(Segment::Element)))?),
            Head::Map => {
                let key = self.trace(place.to(Hop::Key, Some(Segment::Key)))?;
                Node::Map(key, self.trace(place.to(Hop::Value(key), Some(Segment::Value)))?)
            }
            Head::Tuple(len) => Node::Tuple(self.items(len, place)?),
            Head::Struct(names) => Node::Struct(self.fields(names, place)?),
            Head::Enum(names) => {
                let mut variants = Vec::new();
                for (index, names) in self.variants(place, names)?.into_iter().enumerate() {
                    let segment = Segment::Variant(names[0].to_owned());
                    let node = self.trace(place.to(Hop::Variant(index as u32), Some(segment)))?;
                    variants.push(Variant { names: names.into_iter().map(Into::into).collect(), node });
                }
                Node::Enum(variants)
            }
        })
    }

    fn items(&mut self, len: usize, place: &Place) -> Result<Vec<Id>, ShapeError> {
        let mut items = Vec::new();
        for index in 0..len {
            let hop = Hop::Item(Rc::from(items.as_slice()));
            items.push(self.trace(place.to(hop, Some(Segment::Item(index))))?);
        }
        Ok(items)
    }

    fn fields(&mut self, names: &'static [&'static str], place: &Place) -> Result<Vec<Field>, ShapeError> {
        let mut fields = Vec::new();
        for (_, names) in self.groups(place, names) {
            let segment = Segment::Field(names[0].to_owned());
            let node = self.trace(place.to(Hop::Field(names[0]), Some(segment)))?;
            let name = if names.len() > 1 { self.primary(place, &names, node) } else { names[0] };
            let aliases = names.into_iter().filter(|alias| *alias != name).collect();
            fields.push(Field { name: name.into(), node, aliases });
        }
        Ok(fields)
    }

    /// What the part asks for, and what it is known as.
    fn look(&self, place: &Place) -> Result<(Head, Vec<Identity>), ShapeError> {
        let mut reason = String::new();
        for level in LEVELS {
            let (report, error) = self.probe(place, Task::Look, level);
            if let Some(head) = report.head {
                return Ok((head, report.identities));
            }
            reason = report.refusal.or(error).unwrap_or_else(|| "it reads nothing".into());
        }
        if place.hops.iter().any(|hop| matches!(hop, Hop::Item(before) if !before.is_empty())) {
            reason += "; an item of a tuple before it refuses the sample values; name the items as fields of a struct";
        }
        Err(place.untraceable(reason))
    }

    fn ask(&self, place: &Place, ident: Ident) -> Option<u64> {
        let numbers = LEVELS.into_iter().map(|level| self.probe(place, Task::Ask(ident), level).0.number);
        numbers.flatten().next()
    }

    fn fill(&self, place: &Place, fields: &[(&'static str, Id)]) -> Filled {
        let fills =
            LEVELS.into_iter().filter_map(|level| self.probe(place, Task::Fill(fields), level).0.filled);
        let told = fills.filter(|filled| *filled != Filled::Refused);
        told.into_iter().next().unwrap_or(Filled::Refused)
    }

    fn probe(&self, place: &Place, task: Task<'_>, level: Level) -> (Report, Option<String>) {
        let behind = |hop: &Hop| matches!(hop, Hop::Item(_) | Hop::Value(_));
        let needs = matches!(task, Task::Fill(_)) || place.hops.iter().any(behind);
        let samples = Samples::new(if needs { self.nodes.clone() } else { Vec::new() });
        let report = RefCell::new(Report::default());
        let probe = Probe { hops: &place.hops, task, samples: &samples, level, report: &report };
        let error = (self.run)(probe);
        (report.into_inner(), error)
    }
}
