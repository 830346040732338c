use flare::kafka;

#[kafka(topic = "orders")]
#[derive(serde::Serialize)]
struct Order<T> {
    id: T,
}

fn main() {}
