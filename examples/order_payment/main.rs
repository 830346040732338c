//! Orders and their payments: a paid order is reported with the time it took, one that is not paid within fifteen
//! minutes is reported as unpaid.
//!
//! `cargo run --example order_payment`

use std::time::Duration;

use flare::keyed::CoProcess;
use flare::prelude::*;

const LIMIT: Duration = Duration::from_secs(15 * 60);
const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// An order, one a minute.
#[generator(with = Order::number, count = 60, event_time = "at")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its number.
    pub id: u64,
    /// When it was given.
    pub at: Timestamp,
}

impl Order {
    fn number(n: u64) -> Self {
        Self { id: n, at: START + Duration::from_secs(n * 60) }
    }
}

/// A payment. Of the generated ones, every tenth is for no order that there is.
#[generator(with = Payment::number, count = 60, event_time = "at")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    /// The order's number.
    pub order: u64,
    /// When it came.
    pub at: Timestamp,
}

impl Payment {
    fn number(n: u64) -> Self {
        let order = if n % 10 == 9 { n + 1000 } else { n };
        Self { order, at: START + Duration::from_secs(n * 60 + 300) }
    }
}

/// An order that was paid in time.
#[files(path = "output/paid.jsonl")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paid {
    /// The order's number.
    pub order: u64,
    /// How long it took, in seconds.
    pub seconds: u64,
}

/// An order that was not.
#[files(path = "output/unpaid.jsonl")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unpaid {
    /// The order's number.
    pub order: u64,
    /// When it was given.
    pub ordered_at: Timestamp,
}

/// Remembers whichever comes first.
#[derive(Clone, Default)]
struct Matching {
    ordered_at: ValueState<Timestamp>,
    paid_at: ValueState<Timestamp>,
}

fn paid(order: u64, ordered_at: Timestamp, paid_at: Timestamp) -> Routed<Paid, Unpaid> {
    Routed::Main(Paid { order, seconds: paid_at.duration_since(ordered_at).as_secs() })
}

impl CoProcess<u64, Order, Payment> for Matching {
    type Out = Routed<Paid, Unpaid>;

    fn open(&mut self, states: &mut Declare<'_, u64>) -> Result<()> {
        self.ordered_at = states.value("ordered_at")?;
        self.paid_at = states.value("paid_at")?;
        Ok(())
    }

    fn process_left(&mut self, order: &Order, cx: &mut Context<'_, u64, Self::Out>) -> Result<()> {
        match self.paid_at.take(cx)? {
            Some(paid_at) => cx.emit(paid(order.id, order.at, paid_at)),
            None => {
                self.ordered_at.set(cx, order.at)?;
                cx.set_timer(order.at + LIMIT);
            }
        }
        Ok(())
    }

    fn process_right(&mut self, payment: &Payment, cx: &mut Context<'_, u64, Self::Out>) -> Result<()> {
        match self.ordered_at.take(cx)? {
            Some(ordered_at) => {
                cx.delete_timer(ordered_at + LIMIT);
                cx.emit(paid(payment.order, ordered_at, payment.at));
            }
            None => self.paid_at.set(cx, payment.at)?,
        }
        Ok(())
    }

    fn on_timer(&mut self, _: Timer, cx: &mut Context<'_, u64, Self::Out>) -> Result<()> {
        if let Some(ordered_at) = self.ordered_at.take(cx)? {
            let order = *cx.key();
            cx.emit(Routed::Side(Unpaid { order, ordered_at }));
        }
        Ok(())
    }
}

#[flare_job]
fn order_payment(job: &mut Job) -> Result<()> {
    let orders = job.source::<Order>()?.key_by(|order| order.id);
    let payments = job.source::<Payment>()?.key_by(|payment| payment.order);
    let matched = orders.connect(payments).process(Matching::default());
    let (paid, unpaid) = matched.side_output("unpaid", |routed| routed);
    paid.sink::<Paid>()?;
    unpaid.sink::<Unpaid>()
}

flare::main!(config = "order_payment/flare.toml");

#[cfg(test)]
mod tests {
    use flare::test::{FlareTest, MockSource};

    use super::*;

    fn at(minutes: u64) -> Timestamp {
        START + Duration::from_secs(minutes * 60)
    }

    fn order(id: u64, minutes: u64) -> Order {
        Order { id, at: at(minutes) }
    }

    fn payment(order: u64, minutes: u64) -> Payment {
        Payment { order, at: at(minutes) }
    }

    #[test]
    fn finds_orders_that_are_not_paid() -> Result<()> {
        let mut test = FlareTest::job("order-payment");
        test.source(MockSource::of([order(1, 0), order(2, 1), order(3, 30)]));
        test.source(MockSource::of([payment(1, 10), payment(3, 32)]));
        let (paid, unpaid) = (test.sink::<Paid>(), test.sink::<Unpaid>());
        test.run()?;
        paid.assert_unordered([Paid { order: 1, seconds: 600 }, Paid { order: 3, seconds: 120 }]);
        unpaid.assert_eq([Unpaid { order: 2, ordered_at: at(1) }]);
        Ok(())
    }

    #[test]
    fn reports_when_the_time_is_over_and_not_before() -> Result<()> {
        let mut test = FlareTest::job("order-payment");
        let (orders, give_order) = MockSource::by_hand();
        let (payments, give_payment) = MockSource::by_hand();
        test.source::<Order>(orders);
        test.source::<Payment>(payments);
        let (paid, unpaid) = (test.sink::<Paid>(), test.sink::<Unpaid>());
        let mut live = test.start()?;
        give_order.push(order(1, 0));
        give_order.push(order(2, 0));
        give_payment.push(payment(1, 14));
        give_order.push(order(3, 20));
        live.settle();
        paid.assert_eq([Paid { order: 1, seconds: 14 * 60 }]);
        // Payments have come to the fourteenth minute only.
        unpaid.assert_eq([]);
        give_payment.push(payment(9, 16));
        live.settle();
        unpaid.assert_eq([Unpaid { order: 2, ordered_at: at(0) }]);
        live.finish()?;
        unpaid.assert_eq([Unpaid { order: 2, ordered_at: at(0) }, Unpaid { order: 3, ordered_at: at(20) }]);
        Ok(())
    }

    #[test]
    fn waits_for_a_payment_across_a_crash() -> Result<()> {
        let mut test = FlareTest::job("order-payment");
        let (orders, give_order) = MockSource::by_hand();
        test.source::<Order>(orders);
        test.source(MockSource::<Payment>::empty());
        let (_paid, unpaid) = (test.sink::<Paid>(), test.sink::<Unpaid>());
        let mut live = test.start()?;
        give_order.push(order(1, 0));
        live.checkpoint();
        live.crash();
        assert_eq!(live.timers::<u64>("process-1"), [(at(15), 1)]);
        live.finish()?;
        unpaid.assert_eq([Unpaid { order: 1, ordered_at: at(0) }]);
        Ok(())
    }
}
