use flare::prelude::*;

#[generator(with = Order::sample)]
#[derive(Clone, Serialize, Deserialize)]
struct Order {
    user_id: u64,
}

impl Order {
    fn sample(user_id: u64) -> Self {
        Self { user_id }
    }
}

#[async_lookup(datasource = "users", sql = "SELECT id FROM users WHERE id = :id")]
#[derive(Clone, FromRow)]
struct User {
    #[key]
    id: u64,
}

#[flare_job]
fn orders(job: &mut Job) -> Result<()> {
    let orders = job.source::<Order>()?;
    let joined = orders.lookup(|order: &Order| Some(order.user_id), |_, user: &User| user.id)?;
    joined.for_each(|_| {});
    Ok(())
}

fn main() {}
