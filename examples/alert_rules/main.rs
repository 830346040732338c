//! Readings above a limit give an alert; a stream of rules changes the limits while the job runs.
//!
//! `cargo run --example alert_rules`

use std::collections::BTreeMap;
use std::time::Duration;

use flare::keyed::BroadcastProcess;
use flare::prelude::*;

/// A reading of a sensor.
#[generator(with = Reading::number, count = 100, rate = 200)]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// The sensor.
    pub sensor: u64,
    /// What it measures.
    pub kind: String,
    /// The value.
    pub value: f64,
}

impl Reading {
    fn number(n: u64) -> Self {
        let kind = if n.is_multiple_of(2) { "temperature" } else { "pressure" };
        Self { sensor: n % 10, kind: kind.to_owned(), value: n as f64 }
    }
}

/// The limit of a kind of readings; without a limit the rule is lifted.
#[generator(with = Rule::number, count = 2)]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// What is measured.
    pub kind: String,
    /// Readings above it give an alert.
    pub limit: Option<f64>,
}

impl Rule {
    fn number(n: u64) -> Self {
        let kind = if n == 0 { "temperature" } else { "pressure" };
        Self { kind: kind.to_owned(), limit: Some(90.0) }
    }
}

/// A reading that was too high.
#[files(path = "output/alerts.jsonl")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// The sensor.
    pub sensor: u64,
    /// How many readings of it in a row were too high, this one included.
    pub times: u64,
    /// The value.
    pub value: f64,
}

/// Counts readings in a row that are above the limit of their kind.
#[derive(Clone, Default)]
struct Limits {
    times: ValueState<u64>,
}

impl BroadcastProcess<u64, Reading, Rule> for Limits {
    type Out = Alert;
    type Name = String;
    type Value = f64;

    fn open(&mut self, states: &mut Declare<'_, u64>) -> Result<()> {
        self.times = states.ttl(flare::keyed::Ttl::after_write(Duration::from_secs(3600))).value("times")?;
        Ok(())
    }

    fn process(
        &mut self,
        reading: &Reading,
        limits: &BTreeMap<String, f64>,
        cx: &mut Context<'_, u64, Alert>,
    ) -> Result<()> {
        if limits.get(&reading.kind).is_none_or(|limit| reading.value <= *limit) {
            return self.times.clear(cx);
        }
        let times = self.times.update(cx, |times| {
            *times += 1;
            *times
        })?;
        cx.emit(Alert { sensor: reading.sensor, times, value: reading.value });
        Ok(())
    }

    fn process_control(&mut self, rule: &Rule, limits: &mut BTreeMap<String, f64>) -> Result<()> {
        match rule.limit {
            Some(limit) => limits.insert(rule.kind.clone(), limit),
            None => limits.remove(&rule.kind),
        };
        Ok(())
    }
}

#[flare_job(parallelism = 2)]
fn alert_rules(job: &mut Job) -> Result<()> {
    let rules = job.source::<Rule>()?;
    let readings = job.source::<Reading>()?.key_by(|reading| reading.sensor);
    readings.broadcast(rules).process(Limits::default()).sink::<Alert>()
}

flare::main!(config = "alert_rules/flare.toml");

#[cfg(test)]
mod tests {
    use flare::test::{FlareTest, MockSource};

    use super::*;

    #[test]
    fn rules_change_limits_while_the_job_runs() -> Result<()> {
        let mut test = FlareTest::job("alert-rules");
        let (readings, reading) = MockSource::by_hand();
        let (rules, rule) = MockSource::by_hand();
        test.source::<Reading>(readings);
        test.source::<Rule>(rules);
        let out = test.sink::<Alert>();
        let mut live = test.start()?;
        let read = |live: &mut flare::test::LiveTest, value| {
            reading.push(Reading { sensor: 7, kind: "temperature".to_owned(), value });
            live.settle();
            out.take().iter().map(|alert| alert.times).collect::<Vec<_>>()
        };
        let limit = |limit| Rule { kind: "temperature".to_owned(), limit };
        assert_eq!(read(&mut live, 50.0), [0; 0], "there is no rule yet");
        rule.push(limit(Some(40.0)));
        live.settle();
        assert_eq!(read(&mut live, 50.0), [1]);
        assert_eq!(read(&mut live, 41.0), [2]);
        live.checkpoint();
        live.crash();
        assert_eq!(read(&mut live, 42.0), [3], "rules and rows are remembered");
        assert_eq!(read(&mut live, 40.0), [0; 0]);
        assert_eq!(read(&mut live, 60.0), [1], "the row was broken");
        rule.push(limit(None));
        live.settle();
        assert_eq!(read(&mut live, 90.0), [0; 0]);
        live.finish().map(drop)
    }
}
