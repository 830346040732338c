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

fn joined(order: Order, user: &User) -> u64 {
    order.user_id + user.id
}

#[flare_job]
fn orders(job: &mut Job) -> Result<()> {
    let orders = job.source::<Order>()?.shared();
    orders.stream().lookup(|order: &Order| order.user_id, joined)?.for_each(|_| {});
    orders.stream().lookup(|order| order.user_id, |_, user: &User| user.id)?.for_each(|_| {});
    let mut count = 0;
    let counted = move |order: Order, user: &User| {
        count += 1;
        (count, order.user_id, user.id)
    };
    orders.stream().lookup(|order: &Order| order.user_id, counted)?.for_each(|_| {});
    Ok(())
}

fn main() {}
