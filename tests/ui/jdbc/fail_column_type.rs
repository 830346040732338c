use flare::jdbc;

#[jdbc(datasource = "dw", table = "orders")]
#[derive(serde::Serialize)]
struct Order {
    #[key]
    id: u64,
    tags: Vec<String>,
}

fn main() {}
