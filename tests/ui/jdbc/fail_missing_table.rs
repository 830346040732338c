use flare::jdbc;

#[jdbc(datasource = "dw")]
#[derive(serde::Serialize)]
struct Order {
    #[key]
    id: u64,
    amount: i64,
}

fn main() {}
