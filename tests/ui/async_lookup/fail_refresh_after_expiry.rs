use flare::{FromRow, async_lookup};

#[async_lookup(cache(ttl = "1m", refresh_after = "2m"))]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    id: u64,
    name: String,
}

fn main() {}
