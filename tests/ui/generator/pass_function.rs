use flare::__private::{ConnectorDeclaration, Generate, inventory};

#[flare::generator(with = Order::number, rate = 1000, count = 5)]
struct Order {
    id: u64,
}

impl Order {
    fn number(n: u64) -> Self {
        Self { id: n }
    }
}

fn main() {
    let order = inventory::iter::<ConnectorDeclaration>().next().expect("a declaration");
    let make = (order.generate.expect("a generator"))();
    let make = make.downcast_ref::<Generate<Order>>().expect("its type");
    assert_eq!(make(7).id, 7);
}
