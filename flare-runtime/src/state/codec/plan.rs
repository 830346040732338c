//! Compares a stored shape with a type's own, and says for each stored part what becomes of it.

use std::collections::HashMap;

use super::error::{Difference, Path, Segment};
use super::shape::{Field, Id, Node, Scalar, Shape, Variant};
use super::trace::Traced;
use super::walk::Walk;

/// Shapes nested more deeply are not compared; tracing ends before.
const MAX_DEPTH: usize = 512;

/// Names a step within its plan.
pub(crate) type StepId = u32;

/// How to read one stored part as one part of the type.
#[derive(Debug)]
pub(crate) enum Step {
    /// Stored as the first, read as the second.
    Scalar(Scalar, Scalar),
    /// Read as the `Some` of what is stored.
    Wrap(StepId),
    Option(StepId),
    Seq {
        element: StepId,
        least: usize,
    },
    Map {
        key: StepId,
        value: StepId,
        least: usize,
    },
    Tuple(Vec<StepId>),
    /// The stored fields; `in_order` if those that are kept are all fields of the type, in its order.
    Struct {
        fields: Vec<Stored>,
        in_order: bool,
    },
    /// By stored index: the index now, or the name of a variant that is gone.
    Enum(Vec<Result<(u32, StepId), String>>),
}

/// A stored field: its part, and the name and step it is read by; `None` for one that the type no longer has.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) node: Id,
    pub(crate) kept: Option<(String, StepId)>,
}

/// Reads values of a stored shape as a type.
pub(crate) struct Plan {
    pub(crate) stored: Walk,
    pub(crate) steps: Vec<Step>,
}

impl Plan {
    /// How to read values of `stored` as the traced type.
    ///
    /// # Errors
    /// Every part that cannot be read.
    pub(crate) fn new(stored: Shape, own: &Traced) -> Result<Self, Vec<Difference>> {
        let stored = Walk::new(stored);
        let mut comparison = Comparison {
            stored: &stored,
            own,
            steps: Vec::new(),
            known: HashMap::new(),
            path: Path::default(),
            depth: 0,
            differences: Vec::new(),
        };
        comparison.compare(0, 0);
        let Comparison { steps, differences, .. } = comparison;
        if differences.is_empty() { Ok(Self { stored, steps }) } else { Err(differences) }
    }
}

struct Comparison<'a> {
    stored: &'a Walk,
    own: &'a Traced,
    steps: Vec<Step>,
    /// Parts that are compared already, or being compared: types may contain themselves.
    known: HashMap<(Id, Id), StepId>,
    path: Path,
    depth: usize,
    differences: Vec<Difference>,
}

impl Comparison<'_> {
    fn compare(&mut self, was: Id, is: Id) -> StepId {
        if let Some(step) = self.known.get(&(was, is)) {
            return *step;
        }
        let step = self.push(Step::Tuple(Vec::new()));
        self.known.insert((was, is), step);
        self.depth += 1;
        let found = if self.depth > MAX_DEPTH { None } else { self.step(was, is) };
        self.depth -= 1;
        match found {
            Some(found) => self.steps[step as usize] = found,
            None => {
                let (was, is) = (self.stored.shape.describe(was), self.own.shape.describe(is));
                self.differences.push(Difference { path: self.path.clone(), was, is });
            }
        }
        step
    }

    fn compare_at(&mut self, segment: Segment, was: Id, is: Id) -> StepId {
        self.path.push(segment);
        let step = self.compare(was, is);
        self.path.pop();
        step
    }

    fn push(&mut self, step: Step) -> StepId {
        self.steps.push(step);
        (self.steps.len() - 1) as StepId
    }

    /// `None` if the parts are of different kinds; differences further inside are noted there.
    fn step(&mut self, was: Id, is: Id) -> Option<Step> {
        let (stored, own) = (self.stored, self.own);
        let byte = Node::Scalar(Scalar::U8);
        Some(match (stored.shape.node(was), own.shape.node(is)) {
            (Node::Scalar(was), Node::Scalar(is)) if reads(*was, *is) => Step::Scalar(*was, *is),
            // A list of bytes and bytes are stored alike.
            (Node::Seq(element), Node::Scalar(Scalar::Bytes)) if *stored.shape.node(*element) == byte => {
                Step::Scalar(Scalar::Bytes, Scalar::Bytes)
            }
            (Node::Scalar(Scalar::Bytes), Node::Seq(element)) if *own.shape.node(*element) == byte => {
                Step::Seq { element: self.push(Step::Scalar(Scalar::U8, Scalar::U8)), least: 1 }
            }
            (Node::Option(was), Node::Option(is)) => Step::Option(self.compare(*was, *is)),
            (_, Node::Option(is)) => Step::Wrap(self.compare(was, *is)),
            (Node::Seq(was), Node::Seq(is)) => {
                let element = self.compare_at(Segment::Element, *was, *is);
                Step::Seq { element, least: stored.sizes[*was as usize] }
            }
            (Node::Map(was_key, was), Node::Map(is_key, is)) => {
                let key = self.compare_at(Segment::Key, *was_key, *is_key);
                let value = self.compare_at(Segment::Value, *was, *is);
                Step::Map { key, value, least: stored.sizes[*was_key as usize] + stored.sizes[*was as usize] }
            }
            (Node::Tuple(was), Node::Tuple(is)) if was.len() == is.len() => {
                let pairs = was.iter().zip(is).enumerate();
                let items = pairs.map(|(item, (was, is))| self.compare_at(Segment::Item(item), *was, *is));
                Step::Tuple(items.collect())
            }
            (Node::Struct(was), Node::Struct(now)) => self.fields(was, now, is),
            (Node::Enum(was), Node::Enum(is)) => Step::Enum(self.variants(was, is)),
            _ => return None,
        })
    }

    fn fields(&mut self, was: &[Field], is: &[Field], node: Id) -> Step {
        let sources = sources(was, is);
        self.note_missing(is, &sources, node);
        let mut fields = Vec::with_capacity(was.len());
        let mut kept = Vec::new();
        for (index, stored) in was.iter().enumerate() {
            let target = sources.iter().position(|source| *source == Some(index));
            kept.extend(target);
            let target = target.map(|target| {
                let field = &is[target];
                let step = self.compare_at(Segment::Field(field.name.to_string()), stored.node, field.node);
                (field.name.to_string(), step)
            });
            fields.push(Stored { node: stored.node, kept: target });
        }
        Step::Struct { fields, in_order: kept.into_iter().eq(0..is.len()) }
    }

    /// Notes the fields that are not stored and cannot be left out.
    fn note_missing(&mut self, is: &[Field], sources: &[Option<usize>], node: Id) {
        let pairs = is.iter().zip(sources);
        let absent: Vec<_> = pairs.filter(|(_, source)| source.is_none()).map(|(field, _)| field).collect();
        if absent.is_empty() {
            return;
        }
        let names: Vec<_> = absent.iter().map(|field| field.name.as_ref()).collect();
        for name in self.own.required(node, &names) {
            let Some(field) = absent.iter().find(|field| field.name == name) else { continue };
            let mut path = self.path.clone();
            path.push(Segment::Field(name));
            let is = format!("{} without a default", self.own.shape.describe(field.node));
            self.differences.push(Difference { path, was: "absent".into(), is });
        }
    }

    fn variants(&mut self, was: &[Variant], is: &[Variant]) -> Vec<Result<(u32, StepId), String>> {
        let mut variants = Vec::with_capacity(was.len());
        for stored in was {
            let same = |variant: &Variant| variant.names.iter().any(|name| stored.names.contains(name));
            variants.push(match is.iter().position(same) {
                Some(index) => {
                    let segment = Segment::Variant(is[index].label());
                    Ok((index as u32, self.compare_at(segment, stored.node, is[index].node)))
                }
                None => Err(stored.label()),
            });
        }
        variants
    }
}

/// For each field of the type, the stored field that it is read from.
fn sources(was: &[Field], is: &[Field]) -> Vec<Option<usize>> {
    let named = |name: &str| was.iter().position(|field| field.name == name);
    let mut sources: Vec<_> = is.iter().map(|field| named(&field.name)).collect();
    for (index, field) in is.iter().enumerate() {
        if sources[index].is_none() {
            // An alias stands back behind any field that has the name, or the stored field, already.
            let free = |source: &usize| !sources.contains(&Some(*source));
            sources[index] = field.aliases.iter().filter_map(|alias| named(alias)).find(free);
        }
    }
    sources
}

/// Whether every value stored as `was` can be read as `is`.
fn reads(was: Scalar, is: Scalar) -> bool {
    if was == is || (was == Scalar::F32 && is == Scalar::F64) {
        return true;
    }
    match (bits(was), bits(is)) {
        (Some((false, was)), Some((true, is))) => was < is,
        (Some((was_signed, was)), Some((is_signed, is))) => was_signed == is_signed && was < is,
        _ => false,
    }
}

/// Whether an integer is signed, and its bits.
fn bits(scalar: Scalar) -> Option<(bool, u32)> {
    Some(match scalar {
        Scalar::I8 => (true, 8),
        Scalar::I16 => (true, 16),
        Scalar::I32 => (true, 32),
        Scalar::I64 => (true, 64),
        Scalar::I128 => (true, 128),
        Scalar::U8 => (false, 8),
        Scalar::U16 => (false, 16),
        Scalar::U32 => (false, 32),
        Scalar::U64 => (false, 64),
        Scalar::U128 => (false, 128),
        _ => return None,
    })
}
