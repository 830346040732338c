use flare::generator;

#[generator(with = |n| Order { id: n, paid_at: 0 })]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
