use flare::kafka;

#[kafka(topik = "orders")]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
