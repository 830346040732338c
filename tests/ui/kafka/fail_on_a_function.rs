use flare::kafka;

#[kafka(topic = "orders")]
fn order() {}

fn main() {}
