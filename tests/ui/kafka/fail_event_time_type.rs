use flare::kafka;

#[kafka(topic = "orders", event_time = "paid_at")]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: String,
}

fn main() {}
