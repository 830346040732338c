use flare::FromRow;

#[derive(FromRow)]
union User {
    id: u64,
}

fn main() {}
