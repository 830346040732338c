use flare::flare_job;

#[flare_job]
struct Orders;

fn main() {}
