use flare::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Key)]
struct Basket {
    shop: u32,
    items: Vec<u64>,
}

fn main() {}
