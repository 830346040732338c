//! The sessions of users: clicks that follow one another within half an hour.
//!
//! `cargo run --example sessions`

use std::time::Duration;

use flare::prelude::*;

const GAP: Duration = Duration::from_secs(30 * 60);

/// A click, every ten seconds; users take turns for a while.
#[generator(with = Click::number, count = 10_000, event_time = "at")]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Click {
    /// Who.
    pub user: u64,
    /// When.
    pub at: Timestamp,
}

impl Click {
    fn number(n: u64) -> Self {
        let at = Timestamp::from_millis(1_767_225_600_000) + Duration::from_secs(n * 10);
        Self { user: n / 20 % 100, at }
    }
}

/// A session.
#[files(path = "output/sessions.jsonl")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Session {
    /// Who.
    pub user: u64,
    /// The first click.
    pub start: Timestamp,
    /// From the first click to the last, in seconds.
    pub seconds: u64,
    /// How many clicks.
    pub clicks: u64,
}

#[flare_job(parallelism = 2)]
fn sessions(job: &mut Job) -> Result<()> {
    let clicks = job.source::<Click>()?.key_by(|click| click.user);
    let sessions = clicks.window(Windows::session(GAP)).aggregate(Count, |user, window, clicks| Session {
        user: *user,
        start: window.start,
        // The window ends a gap after the last click.
        seconds: (window.size() - GAP).as_secs(),
        clicks,
    });
    sessions.sink::<Session>()
}

flare::main!(config = "sessions/flare.toml");

#[cfg(test)]
mod tests {
    use flare::test::{Exploration, FlareTest, MockSource};

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    #[test]
    fn end_after_a_gap() -> Result<()> {
        let mut test = FlareTest::job("sessions");
        let click = |user, minutes| Click { user, at: at(minutes) };
        // The third click of user 1 comes exactly a gap after the second, the fourth later.
        test.source(MockSource::of([
            click(1, 0),
            click(1, 10),
            click(2, 10),
            click(1, 40),
            click(1, 71),
            click(2, 72),
        ]));
        let out = test.sink::<Session>();
        test.run()?;
        let session = |user, start, minutes: u64, clicks| Session {
            user,
            start: at(start),
            seconds: minutes * 60,
            clicks,
        };
        out.assert_by_key(
            |session| session.user,
            [session(1, 0, 40, 3), session(1, 71, 0, 1), session(2, 10, 0, 1), session(2, 72, 0, 1)],
        );
        Ok(())
    }

    #[test]
    fn are_the_same_however_the_job_runs_and_crashes() {
        Exploration::of(20).run(|case| {
            let mut test = FlareTest::job("sessions");
            case.apply(&mut test);
            test.source(MockSource::of((0..40).map(|n| Click { user: n % 2, at: at(n as i64 * 11) })));
            let out = test.sink::<Session>();
            test.run().unwrap();
            let session = |user, start| Session { user, start: at(start), seconds: 19 * 22 * 60, clicks: 20 };
            out.assert_unordered([session(0, 0), session(1, 11)]);
        });
    }
}
