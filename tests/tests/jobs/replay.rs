//! Dirty records are counted where they landed, and run through the job again.

use std::process::Output;

use crate::command_line::{folder, run, text};
use crate::support::Folder;

/// The job has run once: one user is unknown, one order is cut off.
fn after_a_run(config: &str) -> Folder {
    let folder = folder();
    let content = |name: &str| std::fs::read_to_string(folder.path(name)).unwrap();
    let base = content("flare.toml");
    let sources = base.split("[dirty]").next().unwrap();
    folder.write("flare.toml", &format!("{sources}[dirty]\n{config}"));
    let tables = format!("{}\n{}", content("dw.sql"), include_str!("../../../flare/src/docs/dirty.sql"));
    folder.write("dw.sql", &tables);
    let output = run(&folder, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    folder
}

const IN_A_FILE: &str = "connector = \"files\"\npath = \"dirty.jsonl\"\nmode = \"overwrite\"\n";

fn know_the_user(folder: &Folder) {
    folder.write("users.sql", "INSERT OR REPLACE INTO users VALUES (1, 'Ann'), (9, 'Zoe');");
}

fn summary(output: &Output) -> serde_json::Value {
    let read = serde_json::from_slice(&output.stdout);
    read.unwrap_or_else(|_| panic!("{} {}", text(&output.stdout), text(&output.stderr)))
}

#[test]
fn counts_what_landed() {
    let folder = after_a_run(IN_A_FILE);
    let out = text(&run(&folder, &["dirty", "list"]).stdout);
    assert!(out.contains("2 dirty records in files") && out.contains("dirty.jsonl"), "{out}");
    assert!(out.contains("lookup.User lookup bad_record: 1"), "{out}");
    assert!(out.contains("source.Order parse bad_record: 1"), "{out}");
    let out = text(&run(&folder, &["dirty", "list", "--stage", "parse", "--json"]).stdout);
    assert!(out.lines().count() == 1 && out.contains("\\\"id\\\":3"), "{out}");
    let out = text(&run(&folder, &["dirty", "list", "--until", "1h"]).stdout);
    assert!(out.starts_with("0 dirty records"), "{out}");
}

#[test]
fn runs_them_again_and_keeps_what_is_there() {
    let folder = after_a_run(IN_A_FILE);
    know_the_user(&folder);
    let output = run(&folder, &["dirty", "replay", "--json"]);
    let report = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(report.contains("1 records from the bytes that landed, 1 read again"), "{report}");
    let summary = summary(&output);
    assert_eq!((&summary["records_in"], &summary["records_out"]), (&2.into(), &1.into()), "{report}");
    // Although the sink overwrites: a replay adds. The order that is still cut off was turned aside once more.
    assert_eq!(folder.lines("dirty.jsonl").len(), 3);
    assert!(report.contains("--since"), "{report}");
}

#[test]
fn only_says_what_it_would_do() {
    let folder = after_a_run(IN_A_FILE);
    let output = run(&folder, &["dirty", "replay", "--dry-run"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()));
    assert_eq!(folder.lines("dirty.jsonl").len(), 2);
}

#[test]
fn parses_mended_bytes_from_a_file() {
    let folder = after_a_run(IN_A_FILE);
    let landed = text(&run(&folder, &["dirty", "list", "--stage", "parse", "--json"]).stdout);
    folder.write("mended.jsonl", &landed.replace("\\\"id\\\":3", "\\\"id\\\":3,\\\"user_id\\\":1"));
    let output = run(&folder, &["dirty", "replay", "--from", "mended.jsonl", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(summary(&output)["records_out"], 1);
}

#[test]
fn says_what_is_not_there_any_more() {
    let folder = after_a_run(IN_A_FILE);
    folder.write("orders.jsonl", "{\"id\":1,\"user_id\":1}\n");
    let output = run(&folder, &["dirty", "replay", "--stage", "lookup"]);
    let report = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report.contains("1 records are not in") && report.contains("any more: 2"), "{report}");
}

#[test]
fn reads_them_back_from_a_table() {
    let config = "connector = \"jdbc\"\ndatasource = \"dw\"\ntable = \"dirty\"\nmode = \"insert\"\n";
    let folder = after_a_run(config);
    know_the_user(&folder);
    let output = run(&folder, &["dirty", "replay", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let summary = summary(&output);
    assert_eq!((&summary["records_in"], &summary["records_out"]), (&2.into(), &1.into()));
    let out = text(&run(&folder, &["dirty", "list"]).stdout);
    assert!(out.starts_with("3 dirty records in table dirty in "), "{out}");
}

#[test]
fn refuses_what_cannot_be_read_back() {
    let folder = after_a_run("connector = \"log\"\n");
    let output = run(&folder, &["dirty", "list"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot be read back"), "{}", text(&output.stderr));
}
