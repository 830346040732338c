use flare::kafka;

#[kafka(topic = "orders", retry(backoff = "1m", max_backoff = "1s"))]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
