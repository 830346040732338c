use flare::{FromRow, async_lookup};

#[async_lookup]
#[derive(Clone, FromRow)]
struct User {
    id: u64,
}

fn main() {}
