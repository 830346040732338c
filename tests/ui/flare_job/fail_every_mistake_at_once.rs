use flare::Job;
use flare::flare_job;

#[flare_job(name = "order wide", paralelism = 2, checkpoint = "soon", batch = 0, batch = 1, "x", buffer)]
async fn orders<T>(_job: &Job, _limit: usize) -> Option<T> {
    None
}

fn main() {}
