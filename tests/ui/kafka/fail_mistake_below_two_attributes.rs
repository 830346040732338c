use flare::{jdbc, kafka};

#[kafka(topic = "orders")]
#[jdbc(datasource = "dw", table = "orders")]
#[derive(serde::Serialize)]
struct Order {
    #[key(first)]
    id: u64,
}

fn main() {}
