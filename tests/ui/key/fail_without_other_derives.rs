use flare::prelude::*;

#[derive(Key)]
struct Shop {
    id: u32,
}

fn main() {}
