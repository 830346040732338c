use flare::{Job, Result};
use flare::flare_job;

struct Orders;

impl Orders {
    #[flare_job]
    fn describe(&self, _job: &mut Job) -> Result<()> {
        Ok(())
    }
}

fn main() {}
