use flare::{Job, Result};
use flare::flare_job;

#[flare_job(batch = , buffer = 6)]
fn orders(_job: &mut Job) -> Result<()> {
    Ok(())
}

fn main() {}
