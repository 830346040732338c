//! Bytes that nobody wrote: errors, never panics.

use super::super::shape::{Field, Node, Scalar};
use super::*;

/// Also reads by the plan, and as a changed type.
fn read_all(bytes: &[u8]) {
    #[derive(Serialize, Deserialize)]
    struct Changed {
        #[serde(default)]
        new: Vec<u8>,
        tree: Tree,
        name: Option<String>,
        events: Vec<Event>,
        hashed: HashMap<u64, Vec<Marker>>,
    }
    let same = decoder::<Everything, Everything>();
    let _ = same.decode(bytes);
    let _ = same.decode_planned(bytes);
    let changed = decoder::<Everything, Changed>();
    assert!(!changed.is_positional());
    let _ = changed.decode(bytes);
    let _ = decoder::<Vec<Event>, Vec<Event>>().decode(bytes);
    let _ = decoder::<HashMap<u64, String>, HashMap<u64, String>>().decode(bytes);
    let _ = decoder::<Vec<()>, Vec<()>>().decode(bytes);
}

/// A shape, and bytes read by it, both out of nothing.
fn read_shape(bytes: &[u8]) {
    if let Ok((shape, rest)) = postcard::take_from_bytes::<Shape>(bytes) {
        let _ = (shape.to_string(), shape.fingerprint());
        if let Ok(decoder) = Decoder::<Everything>::new(shape) {
            let _ = decoder.decode(rest);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
        read_shape(&bytes);
    }

    #[test]
    fn small_random_bytes_never_panic(bytes in proptest::collection::vec(0..9u8, 0..300)) {
        read_all(&bytes);
        read_shape(&bytes);
    }

    #[test]
    fn flipped_bits_never_panic(value in everything(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = bytes_of(&value);
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        read_all(&bytes);
        let mut shape = bytes_of(&shape_of::<Everything>());
        let at = at % shape.len();
        shape[at] ^= 1u8 << bit;
        shape.extend_from_slice(&bytes);
        read_shape(&shape);
    }

    #[test]
    fn torn_bytes_are_an_error(value in everything(), at in any::<prop::sample::Index>()) {
        let bytes = bytes_of(&value);
        let torn = &bytes[..at.index(bytes.len())];
        prop_assert!(decoder::<Everything, Everything>().decode(torn).is_err());
        read_all(torn);
    }

    #[test]
    fn bytes_behind_the_value_are_an_error(value in events()) {
        let mut bytes = bytes_of(&value);
        bytes.push(0);
        let error = decoder::<Event, Event>().decode(&bytes).expect_err("one too many");
        prop_assert_eq!(error, CodecError::Trailing(1));
    }
}

#[test]
fn names_the_place_of_a_fault() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Outer {
        id: u8,
        pairs: Vec<(u8, bool)>,
    }
    let error = decoder::<Outer, Outer>().decode(&[1, 2, 7, 1, 8, 9]).expect_err("no bool");
    assert_eq!(error.to_string(), "pairs[1][1]: the stored bytes hold a bool that is neither 0 nor 1");
    let error = decoder::<Outer, Outer>().decode(&[1, 200, 1, 0]).expect_err("no elements");
    assert_eq!(error.to_string(), "pairs: the stored bytes end too early");
    let error = decoder::<Vec<std::num::NonZeroU8>, Vec<std::num::NonZeroU8>>().decode(&[2, 1, 0]);
    assert!(error.expect_err("zero").to_string().starts_with("[1]: invalid value"));
}

#[test]
fn refuses_depth_that_nobody_wrote() {
    let deep = vec![4; 100_000];
    let error = decoder::<Event, Event>().decode(&deep).expect_err("too deep");
    assert!(matches!(error, CodecError::TooDeep(_)), "{error}");
    let error = decoder::<Event, Event>().decode_planned(&deep).expect_err("too deep");
    assert!(matches!(error, CodecError::TooDeep(_)), "{error}");
}

#[test]
fn refuses_shapes_that_nobody_wrote() {
    // A reference out of range, and no part at all.
    assert!(postcard::from_bytes::<Shape>(&[1, 1, 5]).is_err());
    assert!(postcard::from_bytes::<Shape>(&[0]).is_err());
    // A part that is nothing but itself, and one that doubles at each of many levels.
    let own: Shape = postcard::from_bytes(&[1, 4, 1, 0]).expect("a tuple of itself");
    assert!(Decoder::<Everything>::new(own).is_err());
    let mut doubling = vec![100];
    for level in 1..100 {
        doubling.extend([4, 2, level, level]);
    }
    doubling.extend([0, 0]);
    let doubling: Shape = postcard::from_bytes(&doubling).expect("a shape");
    assert!(doubling.to_string().len() < 10_000);
    assert!(Decoder::<Everything>::new(doubling).is_err());
}

#[test]
fn refuses_a_shape_nested_more_deeply_than_any_type() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Link {
        next: Option<Box<Link>>,
    }
    // Each level of the stored shape is a part of its own, and the type follows it for ever.
    let mut nodes = Vec::new();
    for level in 0..20_000 {
        let next = Field { name: "next".into(), node: 2 * level + 1, aliases: Vec::new() };
        nodes.extend([Node::Struct(vec![next]), Node::Option(2 * level + 2)]);
    }
    nodes.push(Node::Scalar(Scalar::Unit));
    let deep = Shape::try_from(nodes).expect("a shape");
    assert!(Decoder::<Link>::new(deep).is_err());
}
