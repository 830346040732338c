use flare::kafka;

#[kafka(topic = "orders", end = "offsets", end_offsets("first" = 15))]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
