use flare::__private::{ConnectorDeclaration, Literal, inventory};

#[flare::files(path = "data/orders", format = "csv", mode = "overwrite", event_time = "paid_at", batch = 10)]
struct Order {
    paid_at: u64,
}

fn main() {
    let _ = Order { paid_at: 1 }.paid_at;
    let order = inventory::iter::<ConnectorDeclaration>().next().expect("a declaration");
    assert!(matches!(order.arguments[..3], [_, ("format", Literal::Text("csv")), ("mode", _)]));
}
