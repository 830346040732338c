use flare::{Job, Result};
use flare::flare_job;

#[flare_job]
fn orders(_job: &mut Job, _limit: usize) -> Result<()> {
    Ok(())
}

fn main() {}
