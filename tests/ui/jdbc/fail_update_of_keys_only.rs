use flare::jdbc;

#[jdbc(datasource = "dw", table = "orders", mode = "update")]
#[derive(serde::Serialize)]
struct Order {
    #[key]
    id: u64,
}

fn main() {}
