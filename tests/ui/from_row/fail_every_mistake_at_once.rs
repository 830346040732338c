use flare::FromRow;

#[derive(FromRow)]
struct User {
    #[key(first)]
    id: u64,
    #[column(nam = "user_name")]
    name: String,
    #[column(name = "")]
    #[column(name = "level")]
    level: i32,
    #[column(name = "id")]
    number: u64,
}

fn main() {}
