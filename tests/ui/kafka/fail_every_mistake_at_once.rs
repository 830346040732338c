use flare::kafka;

#[kafka(
    topic = "new orders", group = 5, start = "offsets", end_timestamp = 1, discovery = "often", comprezzion = "lz4",
    event_time = "payed_at", batch = -1, batch = 9, on_error = "ignore", retry(times = -1, backof = "1s"), flush,
)]
struct Order {
    #[key(first)]
    id: u64,
    #[column]
    paid_at: i64,
}

fn main() {
    let _ = Order { id: 1, paid_at: 2 };
}
