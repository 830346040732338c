use flare::jdbc;

#[jdbc(datasource = "dw", table = "orders", event_time = "paid_at")]
#[derive(serde::Serialize)]
struct Order {
    #[key]
    id: u64,
    amount: i64,
}

fn main() {}
