use flare::{FromRow, async_lookup};

#[async_lookup(on_miss = "default")]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    id: u64,
    name: String,
}

fn main() {}
