use flare::kafka;

#[kafka(topic = "orders", out_of_orderness = "5s")]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
