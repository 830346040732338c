use flare::jdbc;

#[jdbc(datasource = "dw", table = "orders")]
#[derive(serde::Serialize)]
struct Order {
    #[key]
    #[serde(skip)]
    id: u64,
    amount: i64,
}

fn main() {}
