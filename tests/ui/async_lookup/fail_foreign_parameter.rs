use flare::{FromRow, async_lookup};

#[async_lookup(datasource = "dw", sql = "SELECT * FROM users WHERE id = :id AND level > :least")]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    id: u64,
    name: String,
}

fn main() {}
