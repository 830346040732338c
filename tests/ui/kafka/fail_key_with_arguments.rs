use flare::kafka;

#[kafka(topic = "orders")]
#[derive(serde::Serialize)]
struct Order {
    #[key(first)]
    id: u64,
}

fn main() {}
