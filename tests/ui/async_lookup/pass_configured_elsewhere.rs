use flare::__private::{LookupDeclaration, inventory};
use flare::{FromRow, async_lookup};

#[async_lookup(on_miss = "default", cache(capacity = 0, miss_ttl = "0s", stale = "0s"))]
#[derive(Clone, Default, FromRow)]
struct User {
    #[key]
    id: u64,
}

fn main() {
    let users = inventory::iter::<LookupDeclaration>().next().expect("a lookup");
    assert_eq!((users.name, users.connector), ("User", None));
    assert!(users.default.is_some());
    let _ = User::default().id;
}
