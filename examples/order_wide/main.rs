//! Orders joined with their users: a source, an asynchronous lookup, an upsert, bad records turned aside.
//!
//! `cargo run --example order_wide` reads files and SQLite; no server is needed.
//! `cargo run --example order_wide --features kafka,mysql -- --profile kafka` reads Kafka and MySQL: the same job.

use flare::prelude::*;

/// An order event. A payload that does not parse goes to the dirty-data output.
#[kafka(topic = "orders", group = "order-wide", event_time = "paid_at", out_of_orderness = "5s")]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Number of the order.
    pub id: u64,
    /// Who ordered.
    pub user_id: u64,
    /// What it cost.
    pub amount_cents: i64,
    /// When it was paid.
    pub paid_at: Timestamp,
}

/// The user dimension: read through the pool `users`, cached, queried in batches.
#[async_lookup(
    datasource = "users",
    sql = "SELECT id, name, level FROM users WHERE id = :id",
    cache(capacity = 100_000, ttl = "10m", miss_ttl = "30s"),
    capacity = 256,
    timeout = "2s",
    retry(times = 3),
    on_timeout = "dirty"
)]
#[derive(Clone, Debug, FromRow)]
pub struct User {
    /// Number of the user.
    #[key]
    pub id: u64,
    /// Name of the user.
    pub name: String,
    /// From 1 to 5.
    pub level: i32,
}

/// An order with its user's name and level.
#[jdbc(datasource = "dw", table = "order_wide", mode = "upsert", batch = 500, flush = "1s")]
#[derive(Clone, Debug, Serialize)]
pub struct WideOrder {
    /// Number of the order.
    #[key]
    pub id: u64,
    /// Name of the user.
    pub user_name: String,
    /// Level of the user.
    pub user_level: i32,
    /// What it cost.
    pub amount_cents: i64,
    /// When it was paid.
    pub paid_at: Timestamp,
}

impl WideOrder {
    fn join(order: Order, user: &User) -> Self {
        let Order { id, amount_cents, paid_at, .. } = order;
        Self { id, user_name: user.name.clone(), user_level: user.level, amount_cents, paid_at }
    }
}

#[flare_job(name = "order-wide", parallelism = 2, checkpoint = "10s")]
fn order_wide(job: &mut Job) -> Result<()> {
    let orders = job.source::<Order>()?;
    let wide = orders.lookup(|order: &Order| order.user_id, WideOrder::join)?;
    wide.sink::<WideOrder>()
}

flare::main!(config = "order_wide/flare.toml");
