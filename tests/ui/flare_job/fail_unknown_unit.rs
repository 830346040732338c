use flare::{Job, Result};
use flare::flare_job;

#[flare_job(checkpoint = "5 parsecs")]
fn orders(_job: &mut Job) -> Result<()> {
    Ok(())
}

fn main() {}
