use flare::{Job, Result};
use flare::flare_job;

#[flare_job(batch = -5)]
fn orders(_job: &mut Job) -> Result<()> {
    Ok(())
}

fn main() {}
