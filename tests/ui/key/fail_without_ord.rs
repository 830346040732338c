use flare::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Key)]
struct Shop {
    id: u32,
}

fn main() {}
