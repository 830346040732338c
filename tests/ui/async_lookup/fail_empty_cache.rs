use flare::{FromRow, async_lookup};

#[async_lookup(cache())]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    id: u64,
    name: String,
}

fn main() {}
