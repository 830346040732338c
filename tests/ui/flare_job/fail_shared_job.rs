use flare::{Job, Result};
use flare::flare_job;

#[flare_job]
fn orders(_job: &Job) -> Result<()> {
    Ok(())
}

fn main() {}
