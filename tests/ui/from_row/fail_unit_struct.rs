use flare::FromRow;

#[derive(FromRow)]
struct User;

fn main() {}
