//! What shapes say, and what has none.

use super::*;

fn print<T: DeserializeOwned>() -> String {
    shape_of::<T>().to_string()
}

#[test]
fn prints_on_one_line() {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only described")]
    struct User {
        id: u64,
        name: String,
        tags: Vec<String>,
        at: Option<Timestamp>,
        by_day: HashMap<i32, (f64, char)>,
    }
    let expected = "{ id: u64, name: text, tags: [text], at: i64?, by_day: map(i32: (f64, char)) }";
    assert_eq!(print::<User>(), expected);
    assert_eq!(print::<Tree>(), "#0 { value: i32, children: [#0] }");
    let event =
        "#0 <Opened | Paid(u64) | Moved(i32, text) | Rated { stars: u8, text: text?, at: i64 } | Nested(#0)>";
    assert_eq!(print::<Event>(), event);
    assert_eq!(print::<Marker>(), "unit");
    assert_eq!(print::<Result<u8, String>>(), "<Ok(u8) | Err(text)>");
    assert_eq!(print::<std::time::Duration>(), "{ secs: u64, nanos: u32 }");
    assert_eq!(
        print::<std::net::IpAddr>(),
        "<V4(u8, u8, u8, u8) | V6(u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8)>"
    );
}

#[test]
fn fingerprints_stay() {
    // Stored in snapshots: a change here makes every one of them unreadable.
    assert_eq!(shape_of::<Tree>().fingerprint(), 4_166_920_680_417_780_686);
    assert_eq!(shape_of::<Event>().fingerprint(), 7_935_833_273_702_527_391);
}

#[test]
fn equal_shapes_have_equal_fingerprints_only() {
    let shapes = [
        shape_of::<u8>(),
        shape_of::<i8>(),
        shape_of::<u64>(),
        shape_of::<Option<u64>>(),
        shape_of::<Vec<u64>>(),
        shape_of::<(u64,)>(),
        shape_of::<(u64, u64)>(),
        shape_of::<HashMap<u64, u64>>(),
        shape_of::<String>(),
        shape_of::<char>(),
        shape_of::<()>(),
        shape_of::<Event>(),
        shape_of::<Tree>(),
        shape_of::<Pair>(),
        shape_of::<Everything>(),
    ];
    for (left, one) in shapes.iter().enumerate() {
        for (right, other) in shapes.iter().enumerate() {
            assert_eq!(one == other, left == right, "{one} {other}");
            assert_eq!(one.fingerprint() == other.fingerprint(), left == right, "{one} {other}");
        }
    }
    assert_eq!(shape_of::<Timestamp>(), shape_of::<i64>());
}

#[test]
fn describes_the_same_type_alike() {
    assert_eq!(shape_of::<Everything>(), shape_of::<Everything>());
    assert_eq!(shape_of::<Everything>().fingerprint(), shape_of::<Everything>().fingerprint());
}

#[test]
fn tells_types_of_one_name_apart() {
    mod one {
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "only described")]
        pub(super) struct Same {
            a: u8,
        }
    }
    mod other {
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "only described")]
        pub(super) struct Same {
            a: String,
        }
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only described")]
    struct Wrap<T> {
        inner: T,
    }
    assert_eq!(print::<(one::Same, other::Same)>(), "({ a: u8 }, { a: text })");
    assert_eq!(print::<Wrap<Wrap<u8>>>(), "{ inner: { inner: u8 } }");
}

#[test]
fn knows_renamed_aliased_and_skipped_parts() {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only described")]
    struct Odd {
        #[serde(rename = "userId", alias = "id", alias = "zid")]
        id: u64,
        #[serde(skip)]
        local: u8,
        #[serde(default)]
        z: String,
        #[serde(alias = "aaa")]
        last: std::num::NonZeroU8,
    }
    assert_eq!(print::<Odd>(), "{ userId: u64, z: text, last: u8 }");

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only described")]
    enum Level {
        #[serde(alias = "Least")]
        Low,
        #[serde(skip)]
        Hidden,
        #[serde(rename = "TOP")]
        High(u8),
    }
    assert_eq!(print::<Level>(), "<Least|Low | TOP(u8)>");
}

#[test]
fn goes_through_newtypes_that_contain_themselves() {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only described")]
    struct Forest(Vec<Forest>);
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only described")]
    struct Chain(u8, Option<Box<Chain>>, String);
    assert_eq!(print::<Forest>(), "#0 [#0]");
    assert_eq!(print::<Chain>(), "#0 (u8, #0?, text)");
}

#[test]
fn goes_past_items_that_refuse_zero() {
    assert_eq!(print::<(std::num::NonZeroU8, Event, String)>().split(',').next(), Some("(u8"));
}

#[test]
fn says_why_a_type_has_no_shape() {
    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only described")]
    enum Any {
        Number(u8),
        Text(String),
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only described")]
    struct Inner {
        any: Any,
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only described")]
    struct Flat {
        id: u8,
        #[serde(flatten)]
        rest: HashMap<String, u8>,
    }
    let told = |error: Result<Shape, super::super::ShapeError>| error.expect_err("no shape").to_string();
    let any = told(Shape::of::<Vec<Inner>>());
    assert!(any.starts_with("[].any: it reads whatever comes") && any.contains("untagged"), "{any}");
    let flat = told(Shape::of::<(u8, Flat)>());
    assert!(flat.contains("flatten"), "{flat}");
    let json = told(Shape::of::<HashMap<String, serde_json::Value>>());
    assert!(json.starts_with("[value]: it reads whatever comes"), "{json}");
}
