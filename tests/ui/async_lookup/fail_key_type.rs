use flare::{FromRow, async_lookup};

#[async_lookup]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    id: f64,
}

fn main() {}
