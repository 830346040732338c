use flare::files;

#[files(path = "orders", format = "jsn")]
#[derive(serde::Serialize)]
struct Order {
    id: u64,
    paid_at: i64,
}

fn main() {}
