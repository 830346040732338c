use flare::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Key)]
enum Basket {
    Empty,
    Full(u32, Vec<u64>),
}

fn main() {}
