#[flare::kafka(
    topic = "orders", name = "orders-in", cluster = "main", group = "wide", start = "timestamp",
    start_timestamp = "2026-01-31T08:00:00+08:00", end = "offsets", end_offsets("0" = 15, "1" = 20),
    discovery = "0s", format = "csv", partitioner = "murmur2_random", linger = "0s", compression = "zstd",
    headers("source" = "flare"), properties("acks" = "all", "check.crcs" = true), event_time = "paid_at",
    out_of_orderness = "5s", batch = 0, on_error = "skip", flush = "0s",
    retry(times = 0, backoff = "1s", max_backoff = "1s"),
)]
struct Order {
    paid_at: i64,
}

fn main() {
    let _ = Order { paid_at: 1 }.paid_at;
}
