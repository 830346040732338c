use flare::jdbc;

#[jdbc(datasource = "dw", table = "order wide")]
#[derive(serde::Serialize)]
struct Order {
    #[key]
    id: u64,
    amount: i64,
}

fn main() {}
