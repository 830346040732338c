use flare::generator;

#[generator(with = make)]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn make(n: u32) -> Order {
    Order { id: n.into(), paid_at: 0 }
}

fn main() {}
