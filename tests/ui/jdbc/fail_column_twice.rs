use flare::jdbc;

#[jdbc(datasource = "dw", table = "orders")]
#[derive(serde::Serialize)]
struct Order {
    #[key]
    id: u64,
    #[column(name = "id")]
    number: u64,
}

fn main() {}
