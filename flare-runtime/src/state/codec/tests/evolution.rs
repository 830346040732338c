//! Each way in which a type may change, and those in which it may not.

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct V1 {
    id: u32,
    name: String,
    count: i32,
    ratio: f32,
    tags: Vec<String>,
    gone: HashMap<String, Event>,
    state: State1,
    inner: Inner1,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inner1 {
    a: u8,
    b: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State1 {
    New,
    Busy { since: u32 },
    Old(u8),
    Sold(u16, u16),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct V2 {
    inner: Inner2,
    #[serde(alias = "name")]
    title: String,
    added: Option<u64>,
    id: u64,
    count: Option<i64>,
    ratio: f64,
    #[serde(default = "seven")]
    seven: u8,
    tags: Option<Vec<String>>,
    state: State2,
}

fn seven() -> u8 {
    7
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inner2 {
    b: u16,
    a: i16,
    #[serde(default)]
    c: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State2 {
    Added(String),
    #[serde(alias = "Sold")]
    Bought(u32, Option<u16>),
    Busy {
        by: Option<String>,
        since: u64,
    },
    New,
}

fn old_values() -> impl Strategy<Value = V1> {
    let state = prop_oneof![
        Just(State1::New),
        any::<u32>().prop_map(|since| State1::Busy { since }),
        any::<(u16, u16)>().prop_map(|(left, right)| State1::Sold(left, right)),
    ];
    let gone = proptest::collection::hash_map(".{0,5}", events(), 0..3);
    (any::<(u32, String, i32, f32)>(), any::<(Vec<String>, u8, u8)>(), gone, state).prop_map(
        |((id, name, count, ratio), (tags, a, b), gone, state)| {
            let inner = Inner1 { a, b };
            V1 { id, name, count, ratio, tags, gone, state, inner }
        },
    )
}

proptest! {
    #[test]
    fn reads_every_change_at_once(old in old_values()) {
        let new = decoder::<V1, V2>().decode(&bytes_of(&old)).expect("decodes");
        let state = match old.state {
            State1::New => State2::New,
            State1::Busy { since } => State2::Busy { by: None, since: since.into() },
            State1::Sold(left, right) => State2::Bought(left.into(), Some(right)),
            State1::Old(_) => unreachable!("not made"),
        };
        prop_assert_eq!(new, V2 {
            inner: Inner2 { b: old.inner.b.into(), a: old.inner.a.into(), c: Vec::new() },
            title: old.name,
            added: None,
            id: old.id.into(),
            count: Some(old.count.into()),
            ratio: old.ratio.into(),
            seven: 7,
            tags: Some(old.tags),
            state,
        });
    }

    #[test]
    fn widens_every_integer(value in any::<(i8, i16, i32, i64, u8, u16, u32, u64)>()) {
        type Wide = (i16, i32, i64, i128, i16, u32, i64, u128);
        let (a, b, c, d, e, f, g, h) = value;
        let wide = decoder::<(i8, i16, i32, i64, u8, u16, u32, u64), Wide>().decode(&bytes_of(&value));
        let expected = (a.into(), b.into(), c.into(), d.into(), e.into(), f.into(), g.into(), h.into());
        prop_assert_eq!(wide.expect("decodes"), expected);
    }

    #[test]
    fn reads_a_tree_that_has_grown(tree in trees()) {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Grown {
            #[serde(default)]
            note: String,
            children: Vec<Grown>,
            value: i64,
        }
        fn grow(tree: Tree) -> Grown {
            let children = tree.children.into_iter().map(grow).collect();
            Grown { note: String::new(), children, value: tree.value.into() }
        }
        let grown = decoder::<Tree, Grown>().decode(&bytes_of(&tree)).expect("decodes");
        prop_assert_eq!(grown, grow(tree));
    }
}

#[test]
fn a_variant_that_is_gone_is_an_error_where_it_is_met() {
    let decoder = decoder::<Vec<State1>, Vec<State2>>();
    assert_eq!(decoder.decode(&bytes_of(&vec![State1::New])), Ok(vec![State2::New]));
    let error = decoder.decode(&bytes_of(&vec![State1::New, State1::Old(1)])).expect_err("gone");
    assert_eq!(error.to_string(), "[1]: the stored variant `Old` no longer exists");
}

#[test]
fn a_variant_is_found_under_any_of_its_names() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum First {
        Other,
        Zebra(u8),
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Second {
        #[serde(alias = "Zebra")]
        Horse(u8),
        Other,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Third {
        Horse(u8),
    }
    assert_eq!(decoder::<First, Second>().decode(&bytes_of(&First::Zebra(3))), Ok(Second::Horse(3)));
    assert_eq!(decoder::<Second, Third>().decode(&bytes_of(&Second::Horse(3))), Ok(Third::Horse(3)));
    // One index, another name: never mixed up.
    let error = decoder::<First, Third>().decode(&bytes_of(&First::Other)).expect_err("gone");
    assert!(matches!(error, CodecError::VariantGone(..)), "{error}");
}

#[test]
fn refuses_what_the_shapes_show_to_be_unreadable() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only described")]
    struct Was {
        count: u64,
        user: User1,
        kind: Kind1,
        small: (u32, f64),
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only described")]
    struct User1 {
        id: u8,
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only described")]
    enum Kind1 {
        One { size: Option<u8> },
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only described")]
    struct Is {
        user: User2,
        count: String,
        kind: Kind2,
        small: (u16, f32),
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only described")]
    struct User2 {
        id: u8,
        #[serde(default)]
        fine: u8,
        age: std::num::NonZeroU8,
        also_fine: Option<String>,
        email: Vec<String>,
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only described")]
    enum Kind2 {
        One { size: u8, unit: Marker },
    }
    let error = Decoder::<Is>::new(shape_of::<Was>()).expect_err("differs");
    let Mismatch::Differs(differences) = error else { panic!("{error}") };
    let mut told: Vec<_> = differences.iter().map(ToString::to_string).collect();
    told.sort();
    let expected = [
        "count: was u64, is text",
        "kind<One>.size: was u8?, is u8",
        "kind<One>.unit: was absent, is unit without a default",
        "small[0]: was u32, is u16",
        "small[1]: was f64, is f32",
        "user.age: was absent, is u8 without a default",
        "user.email: was absent, is [text] without a default",
    ];
    assert_eq!(told, expected);
}

#[test]
fn refuses_other_kinds() {
    assert_eq!(refusal::<u64, String>(), "the value: was u64, is text");
    assert_eq!(refusal::<u64, i64>(), "the value: was u64, is i64");
    assert_eq!(refusal::<i32, u64>(), "the value: was i32, is u64");
    assert_eq!(refusal::<u32, f64>(), "the value: was u32, is f64");
    assert_eq!(refusal::<(u8, u8), (u8, u8, u8)>(), "the value: was (u8, u8), is (u8, u8, u8)");
    assert_eq!(refusal::<Vec<u8>, HashMap<u8, u8>>(), "the value: was [u8], is map(u8: u8)");
    assert_eq!(refusal::<HashMap<u8, u16>, HashMap<u8, u8>>(), "[value]: was u16, is u8");
}

#[test]
fn a_field_behind_a_refused_sample_is_missed_when_read() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Was {
        even: Picky,
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "never made")]
    struct Is {
        even: Picky,
        more: u8,
    }
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(try_from = "u8")]
    struct Picky(u8);
    impl TryFrom<u8> for Picky {
        type Error = &'static str;

        fn try_from(value: u8) -> Result<Self, &'static str> {
            if value > 9 { Ok(Self(value)) } else { Err("too small") }
        }
    }
    let error = decoder::<Was, Is>().decode(&bytes_of(&10u8)).expect_err("missing");
    assert_eq!(error.to_string(), "the value: missing field `more`");
}

#[test]
fn a_newtype_is_what_it_wraps() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Millis(i64);
    let decoder = decoder::<Millis, Timestamp>();
    assert!(decoder.is_positional());
    assert_eq!(decoder.decode(&bytes_of(&Millis(-5))), Ok(Timestamp(-5)));
    let widened = self::decoder::<i32, Option<Timestamp>>().decode(&bytes_of(&-5i32));
    assert_eq!(widened, Ok(Some(Timestamp(-5))));
}

#[test]
fn an_alias_alone_changes_nothing() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Was {
        b: u8,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Is {
        #[serde(alias = "a", alias = "c")]
        b: u8,
    }
    assert!(decoder::<Was, Is>().is_positional());
}
