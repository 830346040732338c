use flare::__private::{KeyOf, Literal, LookupDeclaration, LookupRow, inventory};
use flare::{FromRow, async_lookup};

#[async_lookup(
    name = "users", datasource = "dw", sql = "SELECT * FROM users WHERE id = :id AND region = :region",
    capacity = 256, concurrency = 8, batch = 100, order = "unordered", timeout = "2s",
    cache(capacity = 10, ttl = "10m", miss_ttl = "30s", refresh_after = "5m", stale = "1h"),
    retry(times = 3, backoff = "50ms", max_backoff = "1s", on_miss = true),
    on_timeout = "dirty", on_error = "fail", on_miss = "default", preload = true, refresh = "10m", default = nobody,
)]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    id: u64,
    #[key]
    region: String,
}

fn nobody() -> User {
    User { id: 0, region: String::new() }
}

fn key_of<T: LookupRow, K: KeyOf<T, T::Key>>(_: K) {}

fn main() {
    let users = inventory::iter::<LookupDeclaration>().next().expect("a lookup");
    assert_eq!((users.name, users.connector), ("users", Some("jdbc")));
    let cache = users.arguments.iter().find(|(name, _)| *name == "cache").expect("a cache");
    assert!(matches!(cache.1, Literal::Table([("capacity", Literal::Int(10)), ..])));
    let nobody = (users.default.expect("a default"))();
    let nobody = nobody.downcast_ref::<fn() -> User>().expect("its type")();
    assert_eq!(nobody.key(), (0, String::new()));
    key_of::<User, (u64, String)>(nobody.key());
}
