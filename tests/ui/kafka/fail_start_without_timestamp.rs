use flare::kafka;

#[kafka(topic = "orders", start = "timestamp")]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
