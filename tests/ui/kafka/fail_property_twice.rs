use flare::kafka;

#[kafka(topic = "orders", properties("acks" = "all", "acks" = "1"))]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
