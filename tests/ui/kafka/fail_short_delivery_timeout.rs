use flare::kafka;
use serde::Serialize;

#[kafka(topic = "orders", delivery_timeout = "500ms", retry(times = 5_000_000_000))]
#[derive(Serialize)]
struct Order {
    id: u64,
}

fn main() {}
