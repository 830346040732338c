use flare::FromRow;

#[derive(FromRow)]
struct User {
    #[column = "user_id"]
    id: u64,
}

fn main() {}
