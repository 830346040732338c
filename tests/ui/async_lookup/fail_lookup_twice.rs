use flare::{FromRow, async_lookup};

#[async_lookup(name = "users")]
#[async_lookup(name = "people")]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    id: u64,
}

fn main() {}
