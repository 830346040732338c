use flare::FromRow;

#[derive(FromRow)]
struct User {
    id: u64,
    tags: Vec<String>,
}

fn main() {}
