use flare::{FromRow, async_lookup};

#[async_lookup(refresh = "10m")]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    id: u64,
    name: String,
}

fn main() {}
