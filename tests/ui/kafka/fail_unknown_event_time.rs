use flare::kafka;

#[kafka(topic = "orders", event_time = "payd_at")]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
