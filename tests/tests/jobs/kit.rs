//! The test kit, used as a job's author uses it.

use std::time::Duration;

use flare::ErrorKind;
use flare::keyed::{Context, Count, Declare, Process, Timer, ValueState};
use flare::prelude::*;
use flare::test::{FlareTest, MockLookup, MockSource};
use flare::{Watermarks, Windows};

/// A payment as Kafka delivers it.
#[kafka(topic = "payments", event_time = "at", out_of_orderness = "10s")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Payment {
    id: u64,
    customer: u64,
    cents: i64,
    at: Timestamp,
}

/// The customer dimension.
#[async_lookup(
    datasource = "customers",
    sql = "SELECT id, name FROM customers WHERE id = :id",
    timeout = "2s",
    retry(times = 1, backoff = "10ms")
)]
#[derive(Clone, Debug, FromRow)]
struct Customer {
    #[key]
    id: u64,
    name: String,
}

/// What is written.
#[jdbc(datasource = "dw", table = "receipts")]
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Receipt {
    #[key]
    id: u64,
    name: String,
}

#[flare_job(name = "receipts", parallelism = 2)]
fn receipts(job: &mut Job) -> Result<()> {
    let payments = job.source::<Payment>()?;
    let join =
        |payment: Payment, customer: &Customer| Receipt { id: payment.id, name: customer.name.clone() };
    payments.lookup(|payment: &Payment| payment.customer, join)?.sink::<Receipt>()
}

fn payment(id: u64, customer: u64) -> Payment {
    Payment { id, customer, cents: 100, at: Timestamp::from_millis(0) }
}

fn receipt(id: u64, name: &str) -> Receipt {
    Receipt { id, name: name.to_owned() }
}

fn customers() -> MockLookup<Customer> {
    MockLookup::of([Customer { id: 1, name: "Ann".to_owned() }, Customer { id: 2, name: "Bob".to_owned() }])
}

#[test]
fn runs_a_declared_job_with_nothing_outside() {
    let mut test = FlareTest::job("receipts");
    let payments = MockSource::of([payment(1, 1), payment(2, 9)]).record(payment(3, 2));
    test.source(payments.bytes(r#"{"id":4,"customer":1,"cents":5,"at":0}"#).bytes("not a payment"));
    test.lookup(customers());
    let out = test.sink::<Receipt>();
    let run = test.run().unwrap();
    out.assert_unordered([receipt(1, "Ann"), receipt(3, "Bob"), receipt(4, "Ann")]);
    assert_eq!((run.summary.records_in, run.summary.records_out), (5, 3));
    assert_eq!(run.counter("lookup.Customer", "rows_missing"), 1);
    let causes = run.dirty_causes().join("\n");
    assert!(
        causes.contains("parse of source.Payment") && causes.contains("lookup of lookup.Customer"),
        "{causes}"
    );
}

#[test]
fn takes_no_time_for_timeouts_and_tries_again() {
    let mut test = FlareTest::job("receipts");
    test.source(MockSource::of([payment(1, 1)]).pause(Duration::from_secs(3600)).record(payment(2, 2)));
    test.lookup(customers().fails(ErrorKind::Unavailable, "gone").hangs(Duration::from_secs(60)));
    let out = test.sink::<Receipt>();
    let run = test.run().unwrap();
    out.assert_eq([receipt(2, "Bob")]);
    assert!(run.dirty_causes()[0].contains("no answer in time"), "{:?}", run.dirty_causes());
    assert_eq!(run.counter("lookup.Customer", "retries"), 1);
    assert!(run.summary.elapsed < Duration::from_secs(3700));
}

#[test]
fn says_what_the_test_has_not_replaced() {
    let mut test = FlareTest::job("receipts");
    test.source(MockSource::of([payment(1, 1)]));
    let _unused = test.sink::<Payment>();
    let error = test.run().map(|_| ()).unwrap_err().report();
    assert!(error.contains("lookup.Customer") && error.contains("test.lookup::<Customer>(…)"), "{error}");
    assert!(error.contains("sink.Receipt") && error.contains("unused-stand-in"), "{error}");
}

#[test]
fn a_failing_sink_turns_aside_or_fails_the_job() {
    let run = |kind| {
        let mut test = FlareTest::job("receipts");
        test.source(MockSource::of([payment(1, 1), payment(2, 1)]));
        test.lookup(customers());
        let out = test.sink::<Receipt>();
        out.fails_at(0, kind, "the table is full");
        test.run().map(|run| (run, out.records()))
    };
    let (aside, written) = run(ErrorKind::BadRecord).unwrap();
    assert_eq!(
        (aside.dirty_causes(), written.len()),
        (vec!["write of sink.Receipt: the table is full".to_owned()], 1)
    );
    let error = run(ErrorKind::Failed).map(|_| ()).unwrap_err().report();
    assert!(error.contains("the table is full") && error.contains("sink.Receipt"), "{error}");
}

fn minutes(job: &mut Job) -> Result<()> {
    let payments = job.source::<Payment>()?.key_by(|payment| payment.customer);
    let counted = payments.window(Windows::tumbling(Duration::from_secs(60)));
    let (counts, late) = counted.aggregate_with_late("late", Count, |customer, window, count| Receipt {
        id: *customer,
        name: format!("{count} until {}", window.end),
    });
    counts.union(late.map(|payment| receipt(payment.id, "late"))).sink::<Receipt>()
}

#[test]
fn watermarks_move_when_the_test_says_so() {
    let at = |id, seconds: i64| Payment { at: Timestamp::from_millis(seconds * 1000), ..payment(id, 1) };
    let mut test = FlareTest::described("minutes", minutes);
    let (payments, by_hand) = MockSource::by_hand();
    test.source(payments.own_watermarks());
    let out = test.sink::<Receipt>();
    let mut live = test.start().unwrap();
    by_hand.push(at(1, 10));
    by_hand.push(at(2, 70));
    by_hand.push(at(3, 20));
    live.settle();
    out.assert_eq([]);
    by_hand.watermark(Timestamp::from_millis(59_999));
    by_hand.push(at(4, 30));
    live.settle();
    out.assert_unordered([receipt(1, "2 until 1970-01-01T00:01:00.000Z"), receipt(4, "late")]);
    by_hand.end();
    live.finish().unwrap();
    assert_eq!(out.records().len(), 3);
}

/// Reports a customer who has paid nothing for a minute of processing time.
#[derive(Clone, Default)]
struct Absent(ValueState<Timestamp>);

impl Process<u64, Payment> for Absent {
    type Out = Receipt;

    fn open(&mut self, states: &mut Declare<'_, u64>) -> Result<()> {
        self.0 = states.value("latest")?;
        Ok(())
    }

    fn process(&mut self, _: &Payment, cx: &mut Context<'_, u64, Receipt>) -> Result<()> {
        let due = cx.processing_time().saturating_add(Duration::from_secs(60));
        if let Some(before) = self.0.take(cx)? {
            cx.delete_processing_timer(before);
        }
        self.0.set(cx, due)?;
        cx.set_processing_timer(due);
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context<'_, u64, Receipt>) -> Result<()> {
        let Timer::Processing(at) = timer else { return Ok(()) };
        cx.emit(receipt(*cx.key(), &at.to_string()));
        Ok(())
    }
}

#[test]
fn time_moves_when_the_test_says_so() {
    let describe = |job: &mut Job| {
        job.source::<Payment>()?
            .key_by(|payment| payment.customer)
            .process(Absent::default())
            .sink::<Receipt>()
    };
    let mut test = FlareTest::described("absent", describe);
    let (payments, by_hand) = MockSource::by_hand();
    test.source(payments);
    let out = test.sink::<Receipt>();
    let mut live = test.start().unwrap();
    let start = live.now();
    by_hand.push(payment(1, 7));
    live.advance_by(Duration::from_secs(40));
    by_hand.push(payment(2, 7));
    live.advance_by(Duration::from_secs(59));
    out.assert_eq([]);
    live.advance_to(start.saturating_add(Duration::from_secs(101)));
    out.assert_eq([receipt(7, "2026-01-01T00:01:40.000Z")]);
    live.stop().unwrap();
}

#[test]
fn the_same_seed_gives_the_same_order() {
    let order = |seed| {
        let describe = |job: &mut Job| {
            let stream = |job: &mut Job, name: &str, from: u64| {
                let payments = (from..from + 50).map(|id| payment(id, id)).collect();
                job.values(name, payments).event_time(|payment: &Payment| payment.at, Watermarks::monotonic())
            };
            let (left, right) = (stream(job, "left", 0), stream(job, "right", 100));
            left.union(right).map(|payment| receipt(payment.id, "")).sink::<Receipt>()
        };
        let mut test = FlareTest::described("order", describe);
        for name in ["left", "right"] {
            test.set(&format!("source.{name}.batch"), 3);
        }
        test.set("job.batch", 3);
        test.seed(seed);
        let out = test.sink::<Receipt>();
        test.run().unwrap();
        out.records().into_iter().map(|receipt| receipt.id).collect::<Vec<_>>()
    };
    assert_eq!(order(1), order(1));
    let orders: std::collections::BTreeSet<_> = (0..10).map(order).collect();
    assert!(orders.len() > 1, "seeds change the order");
    assert!(orders.iter().all(|order| order.len() == 100));
}

#[test]
#[should_panic(expected = "- Receipt { id: 2, name: \"Bob\" }")]
fn shows_what_differs() {
    let mut test = FlareTest::job("receipts");
    test.source(MockSource::of([payment(1, 1)]));
    test.lookup(customers());
    let out = test.sink::<Receipt>();
    test.run().unwrap();
    out.assert_eq([receipt(1, "Ann"), receipt(2, "Bob")]);
}

#[test]
fn finishing_ends_a_source_by_hand() {
    let mut test = FlareTest::described("minutes", minutes);
    let (payments, by_hand) = MockSource::by_hand();
    test.source(payments);
    let out = test.sink::<Receipt>();
    let live = test.start().unwrap();
    by_hand.push(payment(1, 1));
    live.finish().unwrap();
    assert_eq!(out.records().len(), 1);
}

#[test]
#[should_panic(expected = "the job has failed: the table is gone")]
fn settling_tells_that_the_job_has_failed() {
    let mut test = FlareTest::described("minutes", minutes);
    let (payments, by_hand) = MockSource::by_hand();
    test.source(payments.own_watermarks());
    let out = test.sink::<Receipt>();
    out.fails_at(0, ErrorKind::Failed, "the table is gone");
    let mut live = test.start().unwrap();
    by_hand.push(payment(1, 1));
    by_hand.watermark(Timestamp::from_millis(60_000));
    live.settle();
}

#[test]
fn what_is_late_follows_from_the_order_of_records() {
    let at = |id, seconds: i64| Payment { at: Timestamp::from_millis(seconds * 1000), ..payment(id, 1) };
    let mut test = FlareTest::described("minutes", minutes);
    test.source(MockSource::of([at(1, 10), at(2, 65), at(3, 20), at(4, 71), at(5, 30)]));
    let out = test.sink::<Receipt>();
    let run = test.run().unwrap();
    // The bound of ten seconds is passed by the fourth.
    let counts =
        [receipt(1, "2 until 1970-01-01T00:01:00.000Z"), receipt(1, "2 until 1970-01-01T00:02:00.000Z")];
    out.assert_unordered(counts.into_iter().chain([receipt(5, "late")]));
    assert_eq!(run.counter("window-1", "late"), 1);
    assert!(run.summary.text().contains("window-1: 1 records came too late"), "{}", run.summary.text());
}

/// A record without an event time of its own.
#[files(path = "visits")]
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Visit {
    id: u64,
}

#[test]
fn a_mock_may_give_the_event_time_that_its_source_lacks() {
    let describe = |job: &mut Job| {
        let minutes =
            job.source::<Visit>()?.key_by(|_| 0_u8).window(Windows::tumbling(Duration::from_secs(60)));
        minutes
            .sum(|visit| visit.id, |_, window, sum| receipt(sum, &window.start.to_string()))
            .sink::<Receipt>()
    };
    let mut test = FlareTest::described("visits", describe);
    let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
    let visits = MockSource::empty().record_at(at(5), Visit { id: 1 }).record_at(at(59), Visit { id: 2 });
    test.source(visits.record_at(at(60), Visit { id: 4 }));
    let out = test.sink::<Receipt>();
    test.run().unwrap();
    out.assert_eq([receipt(3, "1970-01-01T00:00:00.000Z"), receipt(4, "1970-01-01T00:01:00.000Z")]);
    let real = flare::Runner::described("visits", describe).set("sink.Receipt.connector", "print");
    let report = real.run_blocking().map(|_| ()).unwrap_err().report();
    assert!(report.contains("no-event-time") && report.contains("kit.rs:"), "{report}");
}

/// Two structs of one name, of which only the job that uses them complains.
mod twice {
    use flare::prelude::*;

    #[files(path = "a", name = "Twice")]
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub(super) struct Left {
        pub(super) id: u64,
    }

    #[files(path = "b", name = "Twice")]
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub(super) struct Right {
        pub(super) id: u64,
    }
}

#[test]
fn a_name_that_stands_twice_concerns_only_the_job_that_uses_it() {
    let describe = |job: &mut Job| {
        job.source::<twice::Left>()?.for_each(|left| assert_eq!(left.id, 1));
        let _ = std::any::type_name::<twice::Right>();
        Ok(())
    };
    let mut test = FlareTest::described("twice", describe);
    test.source(MockSource::of([twice::Left { id: 1 }]));
    let error = test.run().map(|_| ()).unwrap_err().report();
    assert!(error.contains("duplicate-name") && error.contains("`Twice` is used twice"), "{error}");
    assert!(twice::Right { id: 2 }.id == 2);
}
