use flare::{Job, Result};
use flare::flare_job;

#[flare_job(colour = "red")]
fn orders(_job: &mut Job) -> Result<()> {
    Ok(())
}

fn main() {}
