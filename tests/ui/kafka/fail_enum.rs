use flare::kafka;

#[kafka(topic = "orders")]
#[derive(serde::Serialize)]
enum Order {
    Paid,
}

fn main() {}
