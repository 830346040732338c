use flare::{FromRow, async_lookup};

#[async_lookup]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    a: u64,
    #[key]
    b: u64,
    #[key]
    c: u64,
    #[key]
    d: u64,
    #[key]
    e: u64,
}

fn main() {}
