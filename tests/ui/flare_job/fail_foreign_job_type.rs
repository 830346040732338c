use flare::Result;
use flare::flare_job;

struct Job;

#[flare_job]
fn orders(_job: &mut Job) -> Result<()> {
    Ok(())
}

fn main() {}
