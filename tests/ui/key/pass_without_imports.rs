//! The derive alone, by its path.

#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, flare::Key,
)]
enum Key {
    Some(u64),
    None,
}

/// Names of the prelude that stand for something else here.
#[allow(dead_code, non_camel_case_types)]
struct i32;

fn main() {
    assert_eq!(flare::Key::hash32(&Key::Some(0)) + 1, flare::Key::hash32(&Key::None));
}
