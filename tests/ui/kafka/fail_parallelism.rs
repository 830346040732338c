use flare::kafka;

#[kafka(topic = "orders", parallelism = 4)]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
