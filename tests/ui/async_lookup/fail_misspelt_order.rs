use flare::{FromRow, async_lookup};

#[async_lookup(order = "unorderd")]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    id: u64,
    name: String,
}

fn main() {}
