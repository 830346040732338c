use flare::{FromRow, async_lookup};

#[async_lookup(sql = "SELECT id, name FROM users WHERE id = :id")]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    id: u64,
    name: String,
}

fn main() {}
