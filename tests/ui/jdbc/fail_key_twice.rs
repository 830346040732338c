use flare::jdbc;

#[jdbc(datasource = "dw", table = "orders")]
#[derive(serde::Serialize)]
struct Order {
    #[key]
    #[key]
    id: u64,
}

fn main() {}
