use flare::__private::{Connected, LookupRow};
use flare::{FromRow, async_lookup, kafka};

#[kafka(topic = "")]
#[async_lookup(timeout = 5)]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    #[column]
    id: u64,
}

fn uses<T: Connected + LookupRow<Key = u64>>() {}

fn main() {
    uses::<User>();
}
