use flare::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Shop(u32);

#[flare_job]
fn orders(job: &mut Job) -> Result<()> {
    let orders = job.values("orders", vec![1_u32]);
    let _by_shop = orders.key_by(|shop| Shop(*shop));
    Ok(())
}

fn main() {}
