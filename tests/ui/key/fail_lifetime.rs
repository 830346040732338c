use flare::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Key)]
struct Name<'a> {
    name: &'a str,
}

fn main() {}
