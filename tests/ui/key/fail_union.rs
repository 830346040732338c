use flare::prelude::*;

#[derive(Key)]
union Number {
    int: u64,
}

fn main() {}
