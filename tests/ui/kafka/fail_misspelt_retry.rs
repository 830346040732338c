use flare::kafka;

#[kafka(topic = "orders", retry(tmes = 3))]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
