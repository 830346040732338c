//! The three products of each category that sold most in each hour.
//!
//! `cargo run --example top_products`

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use flare::prelude::*;

/// A purchase, one a second.
#[generator(with = Purchase::number, count = 10_000, event_time = "at")]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Purchase {
    /// The product's category.
    pub category: String,
    /// The product.
    pub product: String,
    /// How many pieces.
    pub pieces: u64,
    /// When.
    pub at: Timestamp,
}

impl Purchase {
    fn number(n: u64) -> Self {
        let category = ["fruit", "tools"][n as usize % 2].to_owned();
        let at = Timestamp::from_millis(1_767_225_600_000) + Duration::from_secs(n);
        Self { category, product: format!("product {}", n * n % 17), pieces: 1 + n % 3, at }
    }
}

/// A product's place in its category and hour.
#[files(path = "output/top.jsonl")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Top {
    /// The category.
    pub category: String,
    /// The beginning of the hour.
    pub hour: Timestamp,
    /// From 1.
    pub place: usize,
    /// The product.
    pub product: String,
    /// How many pieces were sold.
    pub pieces: u64,
}

/// Counts the pieces of each product, and gives those with the most.
#[derive(Clone)]
struct Bestsellers(usize);

impl Aggregate<Purchase> for Bestsellers {
    type Accumulator = BTreeMap<String, u64>;
    type Out = Vec<(String, u64)>;

    fn create(&self) -> Self::Accumulator {
        BTreeMap::new()
    }

    fn add(&self, pieces: &mut Self::Accumulator, purchase: &Purchase) {
        *pieces.entry(purchase.product.clone()).or_default() += purchase.pieces;
    }

    fn merge(&self, pieces: &mut Self::Accumulator, other: &Self::Accumulator) {
        for (product, more) in other {
            *pieces.entry(product.clone()).or_default() += more;
        }
    }

    fn result(&self, pieces: &Self::Accumulator) -> Self::Out {
        let mut products: Vec<_> =
            pieces.iter().map(|(product, pieces)| (product.clone(), *pieces)).collect();
        products.sort_by_key(|(_, pieces)| Reverse(*pieces));
        products.truncate(self.0);
        products
    }
}

fn places(category: &str, window: Window, products: Vec<(String, u64)>) -> Vec<Top> {
    let (category, hour) = (category.to_owned(), window.start);
    let numbered = products.into_iter().zip(1..);
    numbered
        .map(|((product, pieces), place)| Top { category: category.clone(), hour, place, product, pieces })
        .collect()
}

#[flare_job(parallelism = 2)]
fn top_products(job: &mut Job) -> Result<()> {
    let hours = Windows::tumbling(Duration::from_secs(3600));
    let purchases = job.source::<Purchase>()?.key_by(|purchase| purchase.category.clone());
    let top = purchases
        .window(hours)
        .aggregate(Bestsellers(3), |category, window, top| places(category, window, top));
    top.flat_map(|places| places).sink::<Top>()
}

flare::main!(config = "top_products/flare.toml");

#[cfg(test)]
mod tests {
    use flare::test::{Exploration, FlareTest, MockSource};

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    fn buy(category: &str, product: &str, pieces: u64, minutes: i64) -> Purchase {
        Purchase { category: category.to_owned(), product: product.to_owned(), pieces, at: at(minutes) }
    }

    #[test]
    fn three_a_category_and_hour_also_after_crashes() {
        Exploration::of(20).run(|case| {
            let mut test = FlareTest::job("top-products");
            case.apply(&mut test);
            test.source(MockSource::of([
                buy("fruit", "apple", 2, 0),
                buy("fruit", "pear", 5, 1),
                buy("tools", "saw", 1, 2),
                buy("fruit", "plum", 1, 3),
                buy("fruit", "fig", 3, 4),
                buy("fruit", "apple", 2, 59),
                buy("fruit", "kiwi", 1, 60),
            ]));
            let out = test.sink::<Top>();
            test.run().unwrap();
            let top = |category: &str, hour: i64, place, product: &str, pieces| Top {
                category: category.to_owned(),
                hour: at(hour * 60),
                place,
                product: product.to_owned(),
                pieces,
            };
            out.assert_by_key(
                |top| (top.category.clone(), top.hour),
                [
                    top("fruit", 0, 1, "pear", 5),
                    top("fruit", 0, 2, "apple", 4),
                    top("fruit", 0, 3, "fig", 3),
                    top("tools", 0, 1, "saw", 1),
                    top("fruit", 1, 1, "kiwi", 1),
                ],
            );
        });
    }
}
