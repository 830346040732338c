use flare::__private::{Job, JobDeclaration, Literal, Result, inventory};
use flare::flare_job;

#[flare_job(
    name = "wide",
    parallelism = 2,
    checkpoint = "0s",
    flush = "0s",
    batch = 1,
    buffer = 8,
    drain_timeout = "30s"
)]
fn order_wide(_job: &mut Job) -> Result<()> {
    Ok(())
}

fn main() {
    let job = inventory::iter::<JobDeclaration>().next().expect("a job");
    assert_eq!(job.name, "wide");
    assert!(matches!(job.arguments[0], ("parallelism", Literal::Int(2))));
    assert!(job.place.file.ends_with("pass_arguments.rs") && job.place.line == 4);
}
