use flare::FromRow;

#[derive(FromRow)]
enum User {
    Known,
}

fn main() {}
