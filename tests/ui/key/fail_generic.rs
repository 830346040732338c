use flare::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Key)]
struct Pair<T> {
    first: T,
}

fn main() {}
