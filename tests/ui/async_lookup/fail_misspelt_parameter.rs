use flare::{FromRow, async_lookup};

#[async_lookup(datasource = "dw", sql = "SELECT id, name FROM users WHERE id = :idd")]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    id: u64,
    name: String,
}

fn main() {}
