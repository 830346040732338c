//! What is refused before a job starts, all of it in one report.

use flare::prelude::*;

use crate::support::{Collected, check};

fn problems(describe: impl FnOnce(&mut Job, Collected<u32>) -> Result<()> + 'static) -> String {
    let error = check(describe, |runner| runner).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), flare::ErrorKind::Config);
    error.report()
}

#[test]
fn reports_every_mistake_of_a_graph_at_once() {
    let report = problems(|job, out| {
        let _unused = job.values("unused", vec![1_u32]);
        let _open = job.values("open", vec![1_u32]).map(|n| n);
        job.values("a", vec![1_u32]).id("same").for_each(out.collector());
        job.values("b", vec![1_u32]).id("same").for_each(out.collector());
        Ok(())
    });
    assert!(report.contains("3 problems") || report.contains("4 problems"), "{report}");
    for expected in
        ["`source.unused` is read by nobody", "behind `map-1` ends nowhere", "id `same` is used twice"]
    {
        assert!(report.contains(expected), "{expected} in {report}");
    }
    assert!(report.contains("graph.rs:"), "{report}");
}

#[test]
fn tells_nothing_that_only_follows_from_an_error_of_the_function() {
    let error = check(
        |job, _: Collected<u32>| {
            let _orders = job.values("a", vec![1_u32]);
            Err(flare::Error::user("no such file"))
        },
        |runner| runner.set("operator.map-1.parallelism", 2),
    );
    let report = error.map(|_| ()).unwrap_err().report();
    assert!(report.contains("1 problem:") && report.contains("no such file"), "{report}");
    assert!(problems(|_, _| Err(flare::Error::user("nothing"))).contains("1 problem:"));
    let report = problems(|job, _| job.datasource("nowhere").map(|_| ()));
    assert!(report.contains("1 problem:") && report.contains("datasource.nowhere.url"), "{report}");
}

#[test]
fn refuses_a_stage_without_subtasks() {
    let report = problems(|job, out| {
        job.values("a", vec![1_u32]).map(|n| n).parallelism(0).for_each(out.collector());
        Ok(())
    });
    assert!(report.contains("graph.rs") && report.contains("`.parallelism(1)`"), "{report}");
}

#[test]
fn refuses_a_job_without_a_source() {
    assert!(problems(|_, _| Ok(())).contains("the job has no source"));
}

#[test]
fn refuses_settings_of_operators_that_do_not_exist() {
    let describe = |job: &mut Job, out: Collected<u32>| {
        job.values("a", vec![1_u32]).for_each(out.collector());
        Ok(())
    };
    let error =
        check(describe, |runner| runner.set("operator.source.b.parallelism", 2)).map(|_| ()).unwrap_err();
    assert!(error.report().contains("operator.source"), "{}", error.report());
}
