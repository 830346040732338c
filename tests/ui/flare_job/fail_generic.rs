use flare::{Job, Result};
use flare::flare_job;

#[flare_job]
fn orders<T>(_job: &mut Job) -> Result<()> {
    Ok(())
}

fn main() {}
