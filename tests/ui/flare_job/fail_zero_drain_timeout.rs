use flare::{Job, Result};
use flare::flare_job;

#[flare_job(drain_timeout = "0s")]
fn orders(_job: &mut Job) -> Result<()> {
    Ok(())
}

fn main() {}
