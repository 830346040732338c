use flare::files;

#[files(file = "orders", path = "", format = xml, mode = "apend", event_time = 5, out_of_orderness = "late", batch = 1.5)]
struct Order {
    id: u64,
}

fn main() {
    let _ = Order { id: 1 }.id;
}
