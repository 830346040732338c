use flare::__private::{ConnectorDeclaration, EventTimeOf, Literal, inventory};

#[flare::kafka(topic = "orders", event_time = "paid_at", out_of_orderness = "5s", properties("acks" = "all", "linger.ms" = -1))]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    #[key]
    #[column(name = "order_id")]
    id: u64,
    paid_at: i64,
    #[serde(skip)]
    _seen: bool,
}

fn main() {
    let order = inventory::iter::<ConnectorDeclaration>().next().expect("a declaration");
    assert_eq!((order.name, order.connector, order.type_name), ("Order", "kafka", "Order"));
    let columns: Vec<_> = order.schema.columns.iter().map(|c| (c.field, c.name, c.key)).collect();
    assert_eq!(columns, [("id", "order_id", true), ("paidAt", "paid_at", false)]);
    assert!(matches!(order.arguments[0], ("topic", Literal::Text("orders"))));
    let read = (order.event_time.expect("event time"))();
    let read = read.downcast_ref::<EventTimeOf<Order>>().expect("its type");
    assert_eq!(read(&Order { id: 1, paid_at: 7, _seen: true }).as_millis(), 7);
}
