//! The command line of a job's binary.

use std::process::{Command, Output};

use crate::support::Folder;

const CONFIG: &str = r#"
[source.Order]
connector = "files"
path = "orders.jsonl"

[datasource.users]
url = "sqlite:users.db"
init_sql = "users.sql"
password = "hunter2"

[datasource.dw]
url = "sqlite:dw.db"
init_sql = "dw.sql"

[dirty]
connector = "files"
path = "dirty.jsonl"
"#;

pub(crate) fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("flare.toml", CONFIG);
    folder.write("orders.jsonl", "{\"id\":1,\"user_id\":1}\n{\"id\":2,\"user_id\":9}\n{\"id\":3}\n");
    folder.write(
        "users.sql",
        "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT); INSERT OR REPLACE INTO users VALUES (1, 'Ann');",
    );
    folder.write("dw.sql", "CREATE TABLE IF NOT EXISTS wide (id INTEGER PRIMARY KEY, name TEXT NOT NULL);");
    folder
}

pub(crate) fn run(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
    command.current_dir(folder.path("")).args(arguments).env_remove("FLARE_PROFILE");
    command.output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn runs_and_reports() {
    let folder = folder();
    let output = run(&folder, &[]);
    let (out, report) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{report}");
    assert!(out.contains("in 3 | out 1 | dirty 2"), "{out}");
    assert!(report.contains("Flare ") && report.contains("graph"), "{report}");
    assert!(!report.contains("hunter2"), "{report}");
    assert!(!report.contains('\r') && !report.contains('\u{1b}'), "no live line in a pipe: {report:?}");
    assert_eq!(folder.lines("dirty.jsonl").len(), 2);
}

#[test]
fn prints_a_summary_for_programs() {
    let output = run(&folder(), &["--json"]);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["records_in"], 3);
    assert_eq!(summary["ending"], "end of input");
}

#[test]
fn shows_the_graph() {
    let out = text(&run(&folder(), &["plan"]).stdout);
    assert!(out.contains("lookup.User") && out.contains("<- 0"), "{out}");
    let out = text(&run(&folder(), &["plan", "--mermaid"]).stdout);
    assert!(out.starts_with("flowchart LR") && out.contains("-. dirty .->"), "{out}");
}

#[test]
fn shows_settings_with_their_origin_and_masks_secrets() {
    let folder = folder();
    let output = run(&folder, &["config", "--parallelism", "2", "--set", "sink.Wide.batch=7"]);
    let out = text(&output.stdout);
    assert!(out.contains("job.parallelism = 2  (command line)"), "{out}");
    assert!(out.contains("sink.Wide.batch = 7  (command line)"), "{out}");
    assert!(out.contains("sink.Wide.flush = 200ms  (attribute at"), "{out}");
    assert!(out.contains("datasource.users.password = ******"), "{out}");
    assert!(!out.contains("hunter2"), "{out}");
}

#[test]
fn doctor_finds_everything_and_says_so_by_its_exit_code() {
    let folder = folder();
    assert_eq!(run(&folder, &["doctor"]).status.code(), Some(0));
    let wrong = ["doctor", "--set", "sink.Wide.tabel=x", "--set", "lookup.User.timeout=soon", "--json"];
    let output = run(&folder, &wrong);
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let codes: Vec<_> =
        found["problems"].as_array().unwrap().iter().map(|problem| problem["code"].clone()).collect();
    assert_eq!(codes, ["bad-value", "unknown-setting"]);
    folder.write("flare.toml", "[source");
    let output = run(&folder, &["doctor"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("flare.toml"), "{}", text(&output.stderr));
}

#[test]
fn reads_the_environment_between_files_and_command_line() {
    let folder = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
    command
        .current_dir(folder.path(""))
        .arg("config")
        .env("FLARE_JOB_PARALLELISM", "3")
        .env("FLARE_SINK_WIDE_BACH", "1");
    let output = command.output().unwrap();
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(out.contains("job.parallelism = 3  (environment FLARE_JOB_PARALLELISM)"), "{out}");
    assert!(errors.contains("FLARE_SINK_WIDE_BACH") && errors.contains("FLARE_SINK_WIDE_BATCH"), "{errors}");
}

#[cfg(not(feature = "kafka"))]
#[test]
fn names_the_feature_of_a_connector_that_was_left_out() {
    let output = run(&folder(), &["doctor", "--set", "source.Order.connector=kafka"]);
    let errors = text(&output.stderr);
    assert!(errors.contains("features = [\"kafka\"]"), "{errors}");
}

#[test]
fn explains_every_setting_of_the_job_in_its_help() {
    let out = text(&run(&folder(), &["--help"]).stdout);
    assert!(out.contains("--drain-timeout") && out.contains("[default: 30s]"), "{out}");
}
