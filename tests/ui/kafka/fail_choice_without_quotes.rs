use flare::kafka;

#[kafka(topic = "orders", start = latest)]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
