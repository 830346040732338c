use flare::kafka;

#[kafka(topic = "orders")]
#[derive(serde::Serialize)]
struct Order(u64);

fn main() {}
