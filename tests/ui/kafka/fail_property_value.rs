use flare::kafka;

#[kafka(topic = "orders", properties("linger.ms" = 0.5))]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
