use flare::async_lookup;

#[async_lookup]
#[derive(Clone)]
struct User {
    #[key]
    id: u64,
    name: String,
}

fn main() {}
