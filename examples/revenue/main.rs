//! Revenue a shop and minute, by the time of the sale. A sale that is late renews its minute's result; one that is too
//! late goes to an output of its own.
//!
//! `cargo run --example revenue`

use std::time::Duration;

use flare::prelude::*;

/// A sale, which may come up to five seconds behind a later one.
#[generator(with = Sale::number, count = 1000, batch = 10, event_time = "at", out_of_orderness = "5s")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sale {
    /// Where.
    pub shop: u32,
    /// How much.
    pub cents: i64,
    /// When.
    pub at: Timestamp,
}

impl Sale {
    /// Two sales a second, every hundredth of which comes two minutes late.
    fn number(n: u64) -> Self {
        let delay = if n % 100 == 99 { Duration::from_secs(120) } else { Duration::ZERO };
        let at = Timestamp::from_millis(1_767_225_600_000) + Duration::from_millis(n * 500);
        Self { shop: (n % 3) as u32, cents: 100 + (n % 7) as i64, at: at - delay }
    }
}

/// What a shop took in a minute.
#[files(path = "output/revenue.jsonl")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Revenue {
    /// The shop.
    pub shop: u32,
    /// The beginning of the minute.
    pub minute: Timestamp,
    /// What it took.
    pub cents: i64,
}

/// A sale that came when its minute was closed.
#[files(path = "output/late.jsonl")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LateSale {
    /// The shop.
    pub shop: u32,
    /// When the sale was.
    pub at: Timestamp,
}

#[flare_job]
fn revenue(job: &mut Job) -> Result<()> {
    let minutes = Windows::tumbling(Duration::from_secs(60)).allowed_lateness(Duration::from_secs(10));
    let sales = job.source::<Sale>()?.key_by(|sale| sale.shop).window(minutes);
    let cents = Sum(|sale: &Sale| sale.cents);
    let (revenue, late) = sales.aggregate_with_late("late", cents, |shop, window, cents| Revenue {
        shop: *shop,
        minute: window.start,
        cents,
    });
    late.map(|sale| LateSale { shop: sale.shop, at: sale.at }).sink::<LateSale>()?;
    revenue.sink::<Revenue>()
}

flare::main!(config = "revenue/flare.toml");

#[cfg(test)]
mod tests {
    use flare::test::{FlareTest, MockSource};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn sale(shop: u32, cents: i64, seconds: i64) -> Sale {
        Sale { shop, cents, at: at(seconds) }
    }

    fn total(shop: u32, minute: i64, cents: i64) -> Revenue {
        Revenue { shop, minute: at(minute * 60), cents }
    }

    #[test]
    fn adds_up_each_shop_and_minute() -> Result<()> {
        let mut test = FlareTest::job("revenue");
        test.source(MockSource::of([sale(1, 100, 1), sale(2, 7, 2), sale(1, 50, 59), sale(1, 1, 60)]));
        let (out, late) = (test.sink::<Revenue>(), test.sink::<LateSale>());
        test.run()?;
        out.assert_unordered([total(1, 0, 150), total(2, 0, 7), total(1, 1, 1)]);
        late.assert_eq([]);
        Ok(())
    }

    #[test]
    fn renews_a_minute_and_sets_aside_what_is_too_late() -> Result<()> {
        let mut test = FlareTest::job("revenue");
        // Event time reaches 0:60 with the second sale, and 1:10 with the fourth.
        let sales = [sale(1, 100, 1), sale(1, 1, 66), sale(1, 10, 30), sale(1, 2, 76), sale(1, 1000, 30)];
        test.source(MockSource::of(sales));
        let (out, late) = (test.sink::<Revenue>(), test.sink::<LateSale>());
        test.run()?;
        out.assert_eq([total(1, 0, 100), total(1, 0, 110), total(1, 1, 3)]);
        late.assert_eq([LateSale { shop: 1, at: at(30) }]);
        Ok(())
    }

    #[test]
    fn a_minute_that_is_open_at_a_crash_is_whole() -> Result<()> {
        let mut test = FlareTest::job("revenue");
        let (sales, give) = MockSource::by_hand();
        test.source(sales);
        let (out, _late) = (test.sink::<Revenue>(), test.sink::<LateSale>());
        let mut live = test.start()?;
        give.push(sale(1, 100, 1));
        live.checkpoint();
        give.push(sale(1, 10, 2)); // is read again
        live.settle();
        live.crash();
        give.push(sale(1, 1, 3));
        live.finish()?;
        out.assert_eq([total(1, 0, 111)]);
        Ok(())
    }
}
