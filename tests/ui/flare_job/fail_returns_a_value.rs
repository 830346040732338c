use flare::{Job, Result};
use flare::flare_job;

#[flare_job]
fn orders(_job: &mut Job) -> Result<u64> {
    Ok(1)
}

fn main() {}
