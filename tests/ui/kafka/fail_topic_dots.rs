use flare::kafka;

#[kafka(topic = "..")]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
