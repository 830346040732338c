use flare::Job;
use flare::flare_job;

#[flare_job]
fn orders(_job: &mut Job) {}

fn main() {}
