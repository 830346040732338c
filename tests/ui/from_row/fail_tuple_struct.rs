use flare::FromRow;

#[derive(FromRow)]
struct User(u64);

fn main() {}
