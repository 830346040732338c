//! A job of its own process, for tests that run the command line, stop it, or kill it.

use flare::prelude::*;

/// An order as it is read.
#[kafka(topic = "orders", group = "orders-job")]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Number of the order.
    pub id: u64,
    /// Who ordered.
    pub user_id: u64,
}

/// A user, looked up.
#[async_lookup(datasource = "users", sql = "SELECT id, name FROM users WHERE id = :id")]
#[derive(Clone, Debug, FromRow)]
pub struct User {
    /// Number of the user.
    #[key]
    pub id: u64,
    /// Name of the user.
    pub name: String,
}

/// What is written.
#[jdbc(datasource = "dw", table = "wide", batch = 100, flush = "200ms")]
#[derive(Clone, Debug, Serialize)]
pub struct Wide {
    /// Number of the order.
    #[key]
    pub id: u64,
    /// Name of the user.
    pub name: String,
}

#[flare_job(checkpoint = "200ms")]
fn orders(job: &mut Job) -> Result<()> {
    let orders = job.source::<Order>()?;
    let join = |order: Order, user: &User| Wide { id: order.id, name: user.name.clone() };
    let wide = orders.lookup(|order: &Order| order.user_id, join)?;
    wide.sink::<Wide>()
}

flare::main!();
