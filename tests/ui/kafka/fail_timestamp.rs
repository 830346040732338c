use flare::kafka;

#[kafka(topic = "orders", end = "timestamp", end_timestamp = "yesterday")]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
