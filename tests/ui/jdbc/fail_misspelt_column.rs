use flare::jdbc;

#[jdbc(datasource = "dw", table = "orders")]
#[derive(serde::Serialize)]
struct Order {
    #[key]
    #[column(nam = "order_id")]
    id: u64,
}

fn main() {}
