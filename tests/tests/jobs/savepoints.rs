//! A savepoint that an older version of a job has left, and of an older version of Flare, is read by today's.
//!
//! The file was made by the job of the module `before`. Where the format of files changes on purpose, make another one
//! by `UPDATE=1 cargo test -p flare-tests --test jobs savepoints`; every other time a difference is a mistake, since it
//! leaves the state of running jobs unreadable.

use std::path::{Path, PathBuf};
use std::time::Duration;

use flare::Windows;
use flare::keyed::{Context, Declare, MapState, Process, Sum, Timer, Ttl, ValueState};
use flare::prelude::*;
use flare::test::{FlareTest, MockSource, Savepoint};

const MINUTE: Duration = Duration::from_secs(60);

/// What is sold.
#[kafka(topic = "shop-sales", event_time = "at")]
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ShopSale {
    shop: u32,
    cents: i64,
    at: Timestamp,
}

fn sale(shop: u32, cents: i64, minute: u64) -> ShopSale {
    ShopSale { shop, cents, at: minutes(minute) }
}

fn minutes(number: u64) -> Timestamp {
    Timestamp::from_millis(0) + Duration::from_secs(number * 60)
}

/// What a job says of a shop.
#[kafka(topic = "shop-lines")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ShopLine {
    shop: u32,
    text: String,
}

fn line(shop: u32, text: impl ToString) -> ShopLine {
    ShopLine { shop, text: text.to_string() }
}

/// The job, but for its own operator.
fn shops<P: Process<u32, ShopSale, Out = ShopLine>>(job: &mut Job, totals: P) -> Result<()> {
    let sales = job.source::<ShopSale>()?.shared();
    let totals = sales.stream().key_by(|sale| sale.shop).process(totals).id("totals");
    let hours = sales.stream().key_by(|sale| sale.shop).window(Windows::tumbling(60 * MINUTE));
    let hours = hours.aggregate(Sum(|sale: &ShopSale| sale.cents), |shop, window, cents| {
        line(*shop, format!("{cents} until {}", window.end))
    });
    let sessions = sales.stream().key_by(|sale| sale.shop).window(Windows::session(20 * MINUTE));
    let sessions = sessions.aggregate(Sum(|sale: &ShopSale| sale.cents), |shop, window, cents| {
        line(*shop, format!("{cents} in {} minutes", window.size().as_secs() / 60))
    });
    let counts = sales.stream().key_by(|sale| sale.shop).count().map(|(shop, count)| line(shop, count));
    totals.union(hours.boxed()).union(sessions.boxed()).union(counts).sink::<ShopLine>()
}

/// The job when the savepoint was taken.
mod before {
    use super::*;

    #[derive(Clone, Default, Serialize, Deserialize)]
    struct Total {
        cents: i64,
        sales: u32,
        note: String,
        at: Timestamps,
    }

    #[derive(Clone, Default, Serialize, Deserialize)]
    struct Timestamps(Option<Timestamp>, Vec<Timestamp>);

    #[derive(Clone, Default)]
    pub(super) struct Totals {
        total: ValueState<Total>,
        cents: MapState<Timestamp, i64>,
    }

    impl Process<u32, ShopSale> for Totals {
        type Out = ShopLine;

        fn open(&mut self, states: &mut Declare<'_, u32>) -> Result<()> {
            self.total = states.value("total")?;
            self.cents = states.ttl(Ttl::after_write(1000 * MINUTE)).map("cents")?;
            Ok(())
        }

        fn process(&mut self, sale: &ShopSale, cx: &mut Context<'_, u32, ShopLine>) -> Result<()> {
            cx.set_timer(sale.at + 10 * MINUTE);
            cx.set_processing_timer(cx.processing_time() + MINUTE);
            self.cents.insert(cx, sale.at, sale.cents)?;
            self.total.update(cx, |total| {
                total.cents += sale.cents;
                total.sales += 1;
                total.note = format!("last {}", sale.cents);
                total.at.0 = Some(sale.at);
                total.at.1.push(sale.at);
            })
        }
    }
}

/// The job of today: a field is renamed, one is wider, one has come, one has gone.
mod today {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub(super) struct Total {
        #[serde(alias = "cents")]
        pub(super) sum: i64,
        pub(super) sales: u64,
        pub(super) highest: Option<i64>,
        pub(super) at: (Option<Timestamp>, Vec<Timestamp>),
    }

    #[derive(Clone, Default)]
    pub(super) struct Totals {
        total: ValueState<Total>,
        cents: MapState<Timestamp, i64>,
    }

    impl Process<u32, ShopSale> for Totals {
        type Out = ShopLine;

        fn open(&mut self, states: &mut Declare<'_, u32>) -> Result<()> {
            self.total = states.value("total")?;
            self.cents = states.ttl(Ttl::after_write(1000 * MINUTE)).map("cents")?;
            Ok(())
        }

        fn process(&mut self, sale: &ShopSale, cx: &mut Context<'_, u32, ShopLine>) -> Result<()> {
            let text = self.total.update(cx, |total| {
                total.sum += sale.cents;
                total.sales += 1;
                total.highest = total.highest.max(Some(sale.cents));
                format!("{} by {} sales, at most {:?}", total.sum, total.sales, total.highest)
            })?;
            cx.emit(line(sale.shop, text));
            Ok(())
        }

        fn on_timer(&mut self, timer: Timer, cx: &mut Context<'_, u32, ShopLine>) -> Result<()> {
            let text = match timer {
                Timer::Event(at) => format!("{:?} ten minutes ago", self.cents.get(cx, &(at - 10 * MINUTE))?),
                Timer::Processing(_) => "a minute has passed".to_owned(),
            };
            let shop = *cx.key();
            cx.emit(line(shop, text));
            Ok(())
        }
    }
}

/// What had been read when the savepoint was taken.
fn read_before() -> Vec<ShopSale> {
    vec![sale(1, 100, 1), sale(2, 7, 2), sale(1, 50, 4), sale(3, 9, 5)]
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("savepoints/shops-1.savepoint")
}

fn make(file: &Path) {
    let mut test = FlareTest::described("shops", |job| shops(job, before::Totals::default()));
    test.set("job.parallelism", 2);
    let (source, sales) = MockSource::by_hand();
    test.source(source);
    let _lines = test.sink::<ShopLine>();
    let mut live = test.start().unwrap();
    read_before().into_iter().for_each(|sale| sales.push(sale));
    live.checkpoint().save(file).unwrap();
    live.finish().unwrap();
}

#[test]
fn a_job_goes_on_with_the_state_of_an_older_one() {
    if std::env::var_os("UPDATE").is_some() {
        make(&file());
    }
    let savepoint = Savepoint::load(file()).unwrap();
    let total = savepoint.value("totals", "total", &1_u32).unwrap();
    let at = (Some(minutes(4)), vec![minutes(1), minutes(4)]);
    assert_eq!(total, Some(today::Total { sum: 150, sales: 2, highest: None, at }));

    for parallelism in [1, 3] {
        let mut test = FlareTest::described("shops", |job| shops(job, today::Totals::default()));
        test.set("job.parallelism", parallelism);
        test.restore(savepoint.clone());
        let records = read_before().into_iter().chain([sale(2, 1, 6), sale(1, 1000, 12), sale(1, 3, 70)]);
        test.source(MockSource::of(records).pause(2 * MINUTE));
        let lines = test.sink::<ShopLine>();
        test.run().unwrap();
        lines.assert_unordered(expected());
    }
}

fn expected() -> Vec<ShopLine> {
    let hour = |shop, cents: i64, end: u64| line(shop, format!("{cents} until {}", minutes(end * 60)));
    vec![
        line(2, "8 by 2 sales, at most Some(1)"),
        line(1, "1150 by 3 sales, at most Some(1000)"),
        line(1, "1153 by 4 sales, at most Some(1000)"),
        line(1, "Some(100) ten minutes ago"),
        line(1, "Some(50) ten minutes ago"),
        line(2, "Some(7) ten minutes ago"),
        line(3, "Some(9) ten minutes ago"),
        line(1, "a minute has passed"),
        line(2, "a minute has passed"),
        line(3, "a minute has passed"),
        hour(1, 1150, 1),
        hour(1, 3, 2),
        hour(2, 8, 1),
        hour(3, 9, 1),
        line(1, "1150 in 31 minutes"),
        line(1, "3 in 20 minutes"),
        line(2, "8 in 24 minutes"),
        line(3, "9 in 20 minutes"),
        line(2, 2),
        line(1, 3),
        line(1, 4),
    ]
}
