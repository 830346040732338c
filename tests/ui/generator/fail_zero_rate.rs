use flare::generator;

#[generator(with = make, rate = 0)]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn make(n: u64) -> Order {
    Order { id: n, paid_at: 0 }
}

fn main() {}
