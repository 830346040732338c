use flare::__private::{Job, JobDeclaration, inventory};

#[flare::flare_job]
fn order_wide(_job: &mut Job) -> flare::Result<()> {
    Ok(())
}

fn main() {
    let job = inventory::iter::<JobDeclaration>().next().expect("a job");
    assert_eq!(job.name, "order-wide");
    let _: fn(&mut Job) -> flare::Result<()> = job.describe;
}
