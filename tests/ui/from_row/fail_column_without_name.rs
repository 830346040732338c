use flare::FromRow;

#[derive(FromRow)]
struct User {
    #[column]
    id: u64,
}

fn main() {}
