//! What the connectors of every build do: files, generators, standard output, the log.

use flare::Runner;
use flare::prelude::*;

use crate::command_line::{folder, run, text};
use crate::support::{Collected, Folder, check};

#[test]
fn tells_the_files_of_all_subtasks() {
    let folder = folder();
    let sink =
        ["--set", "sink.Wide.connector=files", "--set", "sink.Wide.path=out.jsonl", "--parallelism", "3"];
    let plan = text(&run(&folder, &[&["plan"], &sink[..]].concat()).stdout);
    assert!(plan.contains("out-{0..2}.jsonl"), "{plan}");
    let summary = text(&run(&folder, &sink).stdout);
    assert!(summary.contains("out-{0..2}.jsonl"), "{summary}");
    assert!((0..3).all(|index| folder.path(&format!("out-{index}.jsonl")).is_file()));
}

#[test]
fn refuses_a_file_that_cannot_be_written() {
    let folder = folder();
    let doctor = |path: &str| {
        let path = format!("sink.Wide.path={path}");
        let output = run(&folder, &["doctor", "--set", "sink.Wide.connector=files", "--set", &path]);
        (output.status.code(), text(&output.stderr))
    };
    let (code, report) = doctor("out/");
    assert_eq!(code, Some(1));
    assert!(
        report.contains("sink.Wide.path: `out/` names a folder") && report.contains("add the name of a file")
    );
    let (code, report) = doctor("flare.toml/rows.jsonl");
    assert_eq!(code, Some(1));
    assert!(report.contains("change the setting `path`"), "{report}");
    assert_eq!(doctor("new/folder/rows.jsonl").0, Some(0));
    assert!(!folder.path("new").exists(), "doctor makes nothing");
}

#[test]
fn keeps_standard_output_for_the_records_of_a_sink() {
    let folder = folder();
    let print = ["--set", "sink.Wide.connector=print"];
    let output = run(&folder, &print);
    assert_eq!(text(&output.stdout), "{\"id\":1,\"name\":\"Ann\"}\n");
    assert!(text(&output.stderr).contains("in 3 | out 1 | dirty 2"), "{}", text(&output.stderr));
    let output = run(&folder, &[&print[..], &["--json"]].concat());
    assert_eq!(text(&output.stdout), "{\"id\":1,\"name\":\"Ann\"}\n");
    let last = text(&output.stderr).lines().last().unwrap().to_owned();
    let summary: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!(summary["records_out"], 1);
}

#[test]
fn warns_in_the_log_of_dirty_records_only() {
    let log = ["--set", "sink.Wide.connector=log", "--set", "dirty.connector=log"];
    let report = text(&run(&folder(), &log).stderr);
    let level = |record: &str| report.lines().find(|line| line.contains(record)).unwrap().to_owned();
    assert!(level("\"Ann\"").contains("INFO"), "{report}");
    assert!(level("{\\\"id\\\":3}").contains("WARN"), "{report}");
}

#[test]
fn refuses_dirty_records_as_csv() {
    let output = run(&folder(), &["doctor", "--set", "dirty.format=csv"]);
    assert_eq!(output.status.code(), Some(1));
    let report = text(&output.stderr);
    assert!(report.contains("dirty.format") && report.contains("write `format = \"json\"`"), "{report}");
}

/// Read from a file, or made.
#[files(path = "levels.csv", format = "csv", skip_lines = 1)]
#[generator(with = Level::number, name = "levels", count = 4)]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Level {
    name: String,
    metres: u32,
}

impl Level {
    fn number(n: u64) -> Self {
        Self { name: format!("made-{n}"), metres: 1 }
    }
}

fn levels(job: &mut Job, out: Collected<String>) -> Result<()> {
    let levels = job.source_named::<Level>("Level")?;
    levels.map(|level| format!("{} {}", level.name, level.metres)).for_each(out.collector());
    Ok(())
}

fn configured(folder: &Folder, runner: Runner) -> Runner {
    let dirty = "[dirty]\nconnector = \"files\"\npath = \"dirty.jsonl\"\n";
    runner.config(folder.write("flare.toml", dirty))
}

#[test]
fn turns_csv_lines_aside_that_do_not_fit() {
    let folder = Folder::new();
    folder.write("levels.csv", "name,metres\n\"Rhine, upper\",7\nElbe,deep\nOder,3,4\nWeser\nMain,2\n");
    let (summary, out) = check(levels, |runner| configured(&folder, runner)).unwrap();
    assert_eq!(out.items(), ["Rhine, upper 7", "Main 2"]);
    assert_eq!(summary.dirty.values().sum::<u64>(), 3);
    let causes = folder.lines("dirty.jsonl").join("\n");
    for cause in ["field=2 `metres`", "it has 3 fields, of which 2 are wanted", "invalid length 1"] {
        assert!(causes.contains(cause), "{cause} in {causes}");
    }
}

#[test]
fn puts_the_generator_of_a_struct_in_the_place_of_its_files() {
    let folder = Folder::new();
    let generated = |runner| configured(&folder, runner).set("source.Level.connector", "generator");
    let (_, out) = check(levels, generated).unwrap();
    assert_eq!(out.items(), ["made-0 1", "made-1 1", "made-2 1", "made-3 1"]);
    let two = |runner| generated(runner).set("source.Level.count", 2);
    assert_eq!(check(levels, two).unwrap().1.items(), ["made-0 1", "made-1 1"]);
}

/// A list is no column, and files have no keys.
#[files(path = "lists.jsonl")]
#[derive(Clone, Debug, Serialize, Deserialize)]
struct List {
    #[key]
    id: u32,
    items: Vec<u32>,
}

#[test]
fn writes_what_is_no_row_to_files() {
    let folder = Folder::new();
    let describe = |job: &mut Job, _: Collected<()>| {
        let lists = job.values("lists", vec![1_u32, 2]);
        lists.map(|id| List { id, items: vec![id; 2] }).sink::<List>()
    };
    check(describe, |runner| configured(&folder, runner)).unwrap();
    assert_eq!(folder.lines("lists.jsonl"), ["{\"id\":1,\"items\":[1,1]}", "{\"id\":2,\"items\":[2,2]}"]);
}
