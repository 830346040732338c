use flare::{Job, Result};
use flare::flare_job;

#[flare_job]
fn orders() -> Result<()> {
    Ok(())
}

fn main() {}
