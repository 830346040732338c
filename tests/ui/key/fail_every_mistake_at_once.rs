use flare::prelude::*;

#[derive(Key)]
union Number<'a, T> {
    name: &'a T,
}

fn main() {}
