//! Bad records: turned aside with their cause and place, never in silence.

use flare::Runner;
use flare::prelude::*;

use crate::support::{Collected, Folder, check};

/// A number in a file.
#[files(path = "numbers.jsonl")]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Number {
    n: i64,
}

const INPUT: &str = "{\"n\":1}\nnot json\n{\"n\":-2}\n{\"n\":3}\n";

fn configured(folder: &Folder, runner: Runner) -> Runner {
    folder.write("numbers.jsonl", INPUT);
    let config = folder.write("flare.toml", "[dirty]\nconnector = \"files\"\npath = \"dirty.jsonl\"\n");
    runner.config(config)
}

fn positive(job: &mut Job, out: Collected<i64>) -> Result<()> {
    let numbers = job.source::<Number>()?;
    let checked = numbers.try_map(|number| match number.n {
        n if n < 0 => Err(format!("{n} is negative")),
        n => Ok(n),
    });
    checked.for_each(out.collector());
    Ok(())
}

#[test]
fn lands_with_cause_and_place_by_configuration_alone() {
    let folder = Folder::new();
    let (summary, out) = check(positive, |runner| configured(&folder, runner)).unwrap();
    assert_eq!(out.items(), [1, 3]);
    assert_eq!((summary.records_in, summary.dirty.values().sum::<u64>()), (4, 2));
    let lines = folder.lines("dirty.jsonl");
    let dirty: Vec<DirtyRecord> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stages: Vec<_> = dirty.iter().map(|record| (record.stage.as_str(), record.offset)).collect();
    assert_eq!(stages, [("parse", 2), ("convert", 3)]);
    assert_eq!(dirty[0].raw, "not json");
    assert!(dirty[0].split.ends_with("numbers.jsonl"));
    assert_eq!(dirty[1].raw, "{\"n\":-2}");
    assert!(dirty[1].causes.join(": ").contains("-2 is negative"));
}

#[test]
fn names_the_operator_that_refused_it() {
    let folder = Folder::new();
    let describe = |job: &mut Job, out: Collected<String>| {
        job.dirty()?.map(|record| record.operator).for_each(out.collector());
        let small = |n: &i64| if *n < 3 { Ok(*n) } else { Err("too large") };
        let odd = |n: &i64| if n % 2 == 1 { Ok(*n) } else { Err("even") };
        let numbers = job.source::<Number>()?.map(|number| number.n).try_map(small).id("small").map(|n| n);
        numbers.boxed().filter(|_| true).try_map(odd).for_each(|_| {});
        Ok(())
    };
    folder.write("numbers.jsonl", INPUT);
    let config = folder.write("flare.toml", "");
    let (summary, out) = check(describe, |runner| runner.config(config)).unwrap();
    assert_eq!(out.sorted(), ["small", "source.Number", "try_map-2"]);
    let causes: Vec<_> = summary.dirty.keys().collect();
    let expected =
        ["small convert bad_record", "source.Number parse bad_record", "try_map-2 convert bad_record"];
    assert_eq!(causes, expected);
}

#[test]
fn can_be_routed_in_code() {
    let folder = Folder::new();
    let describe = |job: &mut Job, out: Collected<String>| {
        let seen = out.clone();
        job.dirty()?.map(|record| format!("dirty {}", record.raw)).for_each(seen.collector());
        job.source::<Number>()?.map(|number| format!("clean {}", number.n)).for_each(out.collector());
        Ok(())
    };
    folder.write("numbers.jsonl", INPUT);
    let config = folder.write("flare.toml", "");
    let (_, out) = check(describe, |runner| runner.config(config)).unwrap();
    assert_eq!(out.sorted(), ["clean -2", "clean 1", "clean 3", "dirty not json"]);
}

#[test]
fn fails_the_job_when_the_budget_is_spent() {
    let folder = Folder::new();
    let error = check(positive, |runner| configured(&folder, runner).set("dirty.budget_count", 1));
    let error = error.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), flare::ErrorKind::DirtyBudget);
    assert!(error.report().contains("dirty.budget_count"), "{}", error.report());
    assert_eq!((error.context("dirty"), error.context("read")), (Some("2"), None));
}

#[test]
fn fails_the_job_behind_its_own_output() {
    let folder = Folder::new();
    let describe = |job: &mut Job, _: Collected<()>| {
        job.dirty()?.try_map(|_| Err::<(), _>("no way out")).for_each(|()| {});
        job.source::<Number>()?.for_each(|_| {});
        Ok(())
    };
    folder.write("numbers.jsonl", INPUT);
    let config = folder.write("flare.toml", "");
    let error = check(describe, |runner| runner.config(config)).map(|_| ()).unwrap_err();
    assert_eq!(error.context("operator"), Some("try_map-1"));
    assert!(error.report().contains("no way out"), "{}", error.report());
}

#[test]
fn fails_a_short_job_by_its_ratio_at_the_end() {
    let folder = Folder::new();
    let ratio =
        |allowed| check(positive, |runner| configured(&folder, runner).set("dirty.budget_ratio", allowed));
    ratio(0.5).unwrap();
    let error = ratio(0.4).map(|_| ()).unwrap_err();
    assert_eq!((error.kind(), error.context("read")), (flare::ErrorKind::DirtyBudget, Some("4")));
    assert_eq!(folder.lines("dirty.jsonl").len(), 4, "what was turned aside is kept");
}

#[test]
fn is_skipped_or_fails_the_job_where_that_is_set() {
    let folder = Folder::new();
    let skip = |runner| configured(&folder, runner).set("source.Number.on_error", "skip");
    let (summary, _) = check(positive, skip).unwrap();
    assert_eq!((summary.skipped, summary.dirty.values().sum::<u64>()), (1, 1));
    let fail = |runner| configured(&folder, runner).set("source.Number.on_error", "fail");
    let error = check(positive, fail).map(|_| ()).unwrap_err().report();
    assert!(error.contains("numbers.jsonl@2"), "{error}");
}

#[test]
fn lands_in_a_table_by_configuration_alone() {
    let folder = Folder::new();
    folder.write("numbers.jsonl", INPUT);
    folder.write("dirty.sql", include_str!("../../../flare/src/docs/dirty.sql"));
    let config = folder.write(
        "flare.toml",
        "[dirty]\nconnector = \"jdbc\"\ndatasource = \"d\"\ntable = \"dirty\"\nmode = \"insert\"\n\
         [datasource.d]\nurl = \"sqlite:dirty.db\"\ninit_sql = \"dirty.sql\"\n",
    );
    check(positive, |runner| runner.config(config.clone())).unwrap();
    let seen = check(landed, |runner| runner.config(config)).unwrap().1.items();
    assert_eq!(seen, ["parse 2 not json", "convert 3 {\"n\":-2}"]);
}

/// A row of the table, read back.
#[derive(Clone, FromRow)]
struct Landed {
    stage: String,
    offset: i64,
    raw: String,
}

fn landed(job: &mut Job, out: Collected<String>) -> Result<()> {
    let database = job.datasource("d")?;
    let read = move |_: u32| {
        let database = database.clone();
        async move {
            let sql = "SELECT * FROM dirty ORDER BY \"offset\"";
            database.query_list::<Landed>(sql, ()).await.map(Some)
        }
    };
    let all = job.values("once", vec![0_u32]).lookup_with(
        "landed",
        |n| *n,
        read,
        |_, rows: &Vec<Landed>| rows.clone(),
    )?;
    all.flat_map(|rows| rows)
        .map(|row| format!("{} {} {}", row.stage, row.offset, row.raw))
        .for_each(out.collector());
    Ok(())
}
