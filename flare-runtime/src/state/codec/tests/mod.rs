//! Tests of the codec, with the types that they share.

mod evolution;
mod foreign;
mod round_trip;
mod shapes;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use proptest::prelude::*;
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{CodecError, Decoder, Mismatch, Shape, encode};

/// Serializes as Flare's timestamp does.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Timestamp(i64);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(!serializer.is_human_readable());
        serializer.serialize_newtype_struct("flare::Timestamp", &self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Serde's deserializer of a missing field says that people read it.
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(TimestampVisitor);
        }
        deserializer.deserialize_newtype_struct("flare::Timestamp", TimestampVisitor)
    }
}

struct TimestampVisitor;

impl<'de> Visitor<'de> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("milliseconds")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(inner).map(Timestamp).map_err(D::Error::custom)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Event {
    Opened,
    Paid(u64),
    Moved(i32, String),
    Rated { stars: u8, text: Option<String>, at: Timestamp },
    Nested(Box<Event>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tree {
    value: i32,
    children: Vec<Tree>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Marker;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pair(u16, i128);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    small: (i8, u8, i16, u16),
    middle: (i32, u32, i64, u64),
    large: (i128, u128, usize),
    floats: [f64; 2],
    letter: char,
    name: String,
    photo: Vec<u8>,
    maybe: Option<Option<u32>>,
    events: Vec<Event>,
    by_name: BTreeMap<String, Pair>,
    hashed: HashMap<u32, Vec<Marker>>,
    tree: Tree,
    unit: (),
    result: Result<u8, String>,
    took: std::time::Duration,
    odd: std::num::NonZeroU32,
}

fn bytes_of<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes).expect("encodes");
    bytes
}

fn shape_of<T: DeserializeOwned>() -> Shape {
    Shape::of::<T>().expect("has a shape")
}

fn decoder<Old: DeserializeOwned, New: DeserializeOwned>() -> Decoder<New> {
    // Through bytes, as in a snapshot's header.
    let stored: Shape = postcard::from_bytes(&bytes_of(&shape_of::<Old>())).expect("a shape");
    assert_eq!(stored, shape_of::<Old>());
    Decoder::new(stored).expect("readable")
}

fn refusal<Old: DeserializeOwned, New: DeserializeOwned>() -> String {
    Decoder::<New>::new(shape_of::<Old>()).expect_err("not readable").to_string()
}

fn events() -> impl Strategy<Value = Event> {
    let leaf = prop_oneof![
        Just(Event::Opened),
        any::<u64>().prop_map(Event::Paid),
        (any::<i32>(), ".{0,9}").prop_map(|(by, to)| Event::Moved(by, to)),
        (any::<u8>(), proptest::option::of(".{0,9}"), any::<i64>())
            .prop_map(|(stars, text, at)| Event::Rated { stars, text, at: Timestamp(at) }),
    ];
    leaf.prop_recursive(4, 8, 1, |inner| inner.prop_map(|event| Event::Nested(Box::new(event))))
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = any::<i32>().prop_map(|value| Tree { value, children: Vec::new() });
    leaf.prop_recursive(4, 16, 3, |inner| {
        (any::<i32>(), proptest::collection::vec(inner, 0..3))
            .prop_map(|(value, children)| Tree { value, children })
    })
}

fn everything() -> impl Strategy<Value = Everything> {
    let numbers = (any::<(i8, u8, i16, u16)>(), any::<(i32, u32, i64, u64)>(), any::<(i128, u128, usize)>());
    let texts = (any::<char>(), ".{0,20}", any::<Vec<u8>>(), any::<Option<Option<u32>>>());
    let events = proptest::collection::vec(events(), 0..4);
    let pairs = any::<(u16, i128)>().prop_map(|(left, right)| Pair(left, right));
    let by_name = proptest::collection::btree_map(".{0,5}", pairs, 0..4);
    let markers = (0..9usize).prop_map(|len| vec![Marker; len]);
    let hashed = proptest::collection::hash_map(any::<u32>(), markers, 0..4);
    let rest = (any::<bool>(), any::<Result<u8, String>>(), any::<std::time::Duration>(), 1..9u32);
    (numbers, texts, events, by_name, hashed, trees(), rest).prop_map(
        |((small, middle, large), (letter, name, photo, maybe), events, by_name, hashed, tree, rest)| {
            Everything {
                flag: rest.0,
                small,
                middle,
                large,
                floats: [f64::from(middle.0) / 7.0, f64::NEG_INFINITY],
                letter,
                name,
                photo,
                maybe,
                events,
                by_name,
                hashed,
                tree,
                unit: (),
                result: rest.1,
                took: rest.2,
                odd: std::num::NonZeroU32::new(rest.3).expect("not zero"),
            }
        },
    )
}
