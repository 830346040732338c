use flare::jdbc;

#[jdbc(source = "dw", table = "orders")]
#[derive(serde::Serialize)]
struct Order {
    #[key]
    id: u64,
    amount: i64,
}

fn main() {}
