use flare::FromRow;

#[derive(FromRow)]
struct User {
    #[key(first)]
    id: u64,
}

fn main() {}
