use flare::generator;

#[generator(with = make(1), rate = "fast", count = 0, rate = 5, event_time = "seen", retry(times = 1), 5)]
struct Order {
    id: u64,
}

fn main() {
    let _ = Order { id: 1 }.id;
}
