//! The description of a type: what is stored, in which order, under which names.

use std::borrow::Cow;
use std::hash::Hasher;

use fnv::FnvHasher;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::ShapeError;
use super::trace;

/// More parts than this are no type that someone wrote, but damage.
pub(crate) const MAX_NODES: usize = 1 << 16;

/// Names a node within its shape.
pub(crate) type Id = u32;

/// A name from the type (borrowed) or from a stored shape (owned).
pub(crate) type Name = Cow<'static, str>;

/// The description of a type, found from its `Deserialize` alone.
///
/// It holds names, order and kinds of fields and variants, but no names of types: a struct may be renamed, and
/// a newtype is what it wraps. An alias of a field is no part of it; the aliases of a variant are, because serde
/// does not tell which name of a variant is the first.
///
/// Printed on one line: `{ id: u64, name: text, tags: [text], age: u8?, by_day: map(i32: f64) }`. A part that
/// contains itself is marked where it begins and where it comes again: `#0 { value: i32, children: [#0] }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Node>", into = "Vec<Node>")]
pub struct Shape {
    /// In the order of first mention; the first is the whole type.
    pub(crate) nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Node {
    Scalar(Scalar),
    Option(Id),
    Seq(Id),
    Map(Id, Id),
    Tuple(Vec<Id>),
    Struct(Vec<Field>),
    Enum(Vec<Variant>),
}

/// A part without parts. The order is stored: add at the end only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scalar {
    Unit,
    Bool,
    Char,
    Text,
    Bytes,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Field {
    pub(crate) name: Name,
    pub(crate) node: Id,
    /// Other names that the type reads; unknown, and of no use, in a stored shape.
    #[serde(skip)]
    pub(crate) aliases: Vec<&'static str>,
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.node == other.node
    }
}

impl Eq for Field {}

/// A variant; its index is its place in the list. A unit variant holds the unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Variant {
    /// All names under which it is read, aliases among them.
    pub(crate) names: Vec<Name>,
    pub(crate) node: Id,
}

impl Variant {
    pub(crate) fn label(&self) -> String {
        self.names.join("|")
    }
}

impl Node {
    pub(crate) fn children(&self) -> Vec<Id> {
        match self {
            Self::Scalar(_) => Vec::new(),
            Self::Option(inner) | Self::Seq(inner) => vec![*inner],
            Self::Map(key, value) => vec![*key, *value],
            Self::Tuple(items) => items.clone(),
            Self::Struct(fields) => fields.iter().map(|field| field.node).collect(),
            Self::Enum(variants) => variants.iter().map(|variant| variant.node).collect(),
        }
    }
}

impl Shape {
    /// The shape of `T`.
    ///
    /// # Errors
    /// A part of `T` cannot be described, with its path: it reads whatever comes (`untagged`, `tag`, `flatten`,
    /// `serde_json::Value`), or it stands behind a tuple's item that refuses every sample value.
    pub fn of<T: DeserializeOwned>() -> Result<Self, ShapeError> {
        Ok(trace::trace::<T>()?.shape)
    }

    /// A stable hash: FNV-1a, 64 bits, of the shape as `encode` writes it.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = FnvHasher::default();
        let bytes = postcard::to_allocvec(&self.nodes);
        hasher.write(&bytes.expect("nodes are plain lists and numbers, which always encode"));
        hasher.finish()
    }

    pub(crate) fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    /// Whether some part contains itself, so that only the bytes bound the depth.
    pub(crate) fn is_recursive(&self) -> bool {
        (0..self.nodes.len()).any(|id| self.contains_itself(id as Id))
    }

    fn contains_itself(&self, id: Id) -> bool {
        let mut seen = vec![false; self.nodes.len()];
        let mut open = self.node(id).children();
        while let Some(next) = open.pop() {
            if next == id {
                return true;
            }
            if !std::mem::replace(&mut seen[next as usize], true) {
                open.extend(self.node(next).children());
            }
        }
        false
    }

    /// For each node, a number of bytes that no value of it can be shorter than.
    pub(crate) fn least_sizes(&self) -> Vec<usize> {
        // Every round is a valid lower bound. Parts mostly stand behind what contains them, so going backwards a
        // few rounds are enough; the limit is for shapes that nobody wrote.
        let mut sizes = vec![0; self.nodes.len()];
        for _ in 0..16 {
            let mut changed = false;
            for (id, node) in self.nodes.iter().enumerate().rev() {
                let size = least_size(node, &sizes);
                changed |= std::mem::replace(&mut sizes[id], size) != size;
            }
            if !changed {
                break;
            }
        }
        sizes
    }
}

fn least_size(node: &Node, sizes: &[usize]) -> usize {
    let of = |id: &Id| sizes[*id as usize];
    // Capped, because a type that contains itself without an end would grow for ever.
    let sum = |total: usize, id: &Id| total.saturating_add(of(id)).min(1 << 20);
    match node {
        Node::Scalar(Scalar::Unit) => 0,
        Node::Scalar(Scalar::F32) => 4,
        Node::Scalar(Scalar::F64) => 8,
        Node::Scalar(_) | Node::Option(_) | Node::Seq(_) | Node::Map(..) => 1,
        Node::Tuple(items) => items.iter().fold(0, sum),
        Node::Struct(fields) => fields.iter().map(|field| &field.node).fold(0, sum),
        Node::Enum(variants) => 1 + variants.iter().map(|variant| of(&variant.node)).min().unwrap_or(0),
    }
}

impl From<Shape> for Vec<Node> {
    fn from(shape: Shape) -> Self {
        shape.nodes
    }
}

impl TryFrom<Vec<Node>> for Shape {
    type Error = ShapeError;

    fn try_from(nodes: Vec<Node>) -> Result<Self, ShapeError> {
        if nodes.is_empty() || nodes.len() > MAX_NODES {
            return Err(ShapeError::Damaged("it has no part or too many"));
        }
        let inside = |node: &Node| node.children().iter().all(|id| (*id as usize) < nodes.len());
        if !nodes.iter().all(inside) {
            return Err(ShapeError::Damaged("it refers to a part that it does not have"));
        }
        let named = |node: &Node| match node {
            Node::Enum(variants) => variants.iter().all(|variant| !variant.names.is_empty()),
            _ => true,
        };
        if !nodes.iter().all(named) {
            return Err(ShapeError::Damaged("a variant has no name"));
        }
        Ok(Self { nodes })
    }
}
