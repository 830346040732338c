use flare::{FromRow, async_lookup};

#[async_lookup(
    sql = "SELECT * FROM users WHERE id = :ident",
    capacity = 0,
    order = "sorted",
    timeout = "0s",
    ttl = "1m",
    cache(ttl = "1m", refresh_after = "2m", size = 5),
    retry(times = 3, on_miss = "yes"),
    on_timeout = "ignore",
    preload = false,
    refresh = "1h",
    default = "nobody"
)]
#[derive(Clone, FromRow)]
struct User {
    #[key(first)]
    id: u64,
    #[column(name = 5)]
    name: String,
}

fn main() {}
