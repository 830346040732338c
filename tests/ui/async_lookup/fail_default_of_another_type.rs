use flare::{FromRow, async_lookup};

#[async_lookup(default = nobody)]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    id: u64,
    name: String,
}

fn nobody() -> Option<User> {
    None
}

fn main() {}
