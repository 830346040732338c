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

fn problems(output: &Output) -> Vec<serde_json::Value> {
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    found["problems"].as_array().unwrap().clone()
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
    let figures = &summary["operators"]["lookup.User"];
    assert_eq!(figures["rows_missing"], 1, "{figures}");
    let latency = &figures["request_latency"];
    assert!(latency["count"].is_u64() && latency["p99"].is_f64() && latency["max"].is_f64(), "{figures}");
}

#[test]
fn shows_the_graph() {
    let out = text(&run(&folder(), &["plan"]).stdout);
    assert!(out.contains("lookup.User") && out.contains("<- 0"), "{out}");
    let out = text(&run(&folder(), &["plan", "--mermaid"]).stdout);
    assert!(out.starts_with("flowchart LR") && out.contains("-. dirty .->"), "{out}");
}

#[test]
fn prints_the_graph_for_programs() {
    let output = run(&folder(), &["plan", "--json", "--parallelism", "2"]);
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let lookup = &plan[1];
    assert_eq!((&lookup["id"], &lookup["parallelism"]), (&"lookup.User".into(), &2.into()));
    assert_eq!(lookup["operators"], serde_json::json!([{ "id": "lookup.User", "name": "lookup.User" }]));
    let from_source = serde_json::json!([{ "stage": "source.Order", "exchange": "auto", "dirty": false }]);
    assert_eq!(lookup["inputs"], from_source);
    assert!(lookup["detail"].as_str().unwrap().contains("users.db"), "{lookup}");
    let dirty = plan.as_array().unwrap().last().unwrap();
    assert_eq!((&dirty["id"], &dirty["inputs"][0]["dirty"]), (&"dirty".into(), &true.into()));
}

#[test]
fn refuses_values_outside_their_range() {
    let nonsense = [
        ("source.Order.batch=0", "number from 1"),
        ("dirty.budget_ratio=5", "decimal from 0 to 1"),
        ("job.buffer=0", "number from 1"),
        ("lookup.User.cache.ttl=0s", "duration above 0s"),
        ("datasource.users.max_connections=0", "number from 1"),
        ("sink.Wide.retry.backoff=0s", "duration above 0s"),
    ];
    let mut arguments = vec!["doctor", "--json"];
    arguments.extend(nonsense.iter().flat_map(|(setting, _)| ["--set", *setting]));
    let output = run(&folder(), &arguments);
    assert_eq!(output.status.code(), Some(1));
    let problems = problems(&output);
    assert_eq!(problems.len(), nonsense.len(), "{problems:?}");
    for (setting, range) in nonsense {
        let (key, _) = setting.split_once('=').unwrap();
        let problem = problems.iter().find(|problem| problem["place"].as_str().unwrap().starts_with(key));
        let remedy = problem.unwrap()["remedy"].as_str().unwrap();
        assert!(remedy.starts_with(&format!("write a {range}")), "{remedy}");
    }
    assert_eq!(run(&folder(), &["--set", "job.checkpoint=0s"]).status.code(), Some(0));
}

#[test]
fn refuses_pauses_that_contradict_each_other() {
    for section in ["sink.Wide", "lookup.User"] {
        let output = run(&folder(), &["doctor", "--json", "--set", &format!("{section}.retry.backoff=1m")]);
        let problems = problems(&output);
        assert_eq!(problems[0]["place"], format!("{section}.retry.max_backoff"), "{problems:?}");
        assert_eq!(problems[0]["remedy"], "write \"1m\" or more");
    }
}

#[test]
fn tells_one_problem_for_a_misspelt_setting() {
    let folder = folder();
    let without_url = CONFIG.replace("url = \"sqlite:dw.db\"", "ulr = \"sqlite:dw.db\"");
    folder.write("flare.toml", &without_url);
    let problems = problems(&run(&folder, &["doctor", "--json"]));
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0]["remedy"], "did you mean `url`?");
}

#[test]
fn tells_what_to_do_on_a_line_of_its_own() {
    let folder = folder();
    let output = run(&folder, &["--job", "ordres"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(errors.ends_with("(job=ordres)\n    did you mean `orders`?\n"), "{errors}");
    folder.write("dw.sql", "CREATE TABLE other (id INTEGER);");
    let problems = problems(&run(&folder, &["doctor", "--json"]));
    assert_eq!(problems[0]["remedy"], "create the table, or correct `table`", "{problems:?}");
    let output = run(&folder, &["doctor", "--json", "--config", "nowhere.toml"]);
    let error: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        error["error"].as_str().unwrap().contains("nowhere.toml") && error["remedy"].is_null(),
        "{error}"
    );
}

#[test]
fn passes_over_variables_that_are_none_of_flares() {
    let folder = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
    command.current_dir(folder.path("")).env("FLARE_SERVICE_HOST", "10.0.0.1").env("FLARE_PORT", "tcp://x");
    let output = command.output().unwrap();
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("WARN") && errors.contains("FLARE_SERVICE_HOST"), "{errors}");
    assert!(!errors.contains("10.0.0.1"), "{errors}");
}

#[test]
fn blames_no_variable_of_a_connector_that_is_not_there() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
    let folder = folder();
    command.current_dir(folder.path("")).args(["doctor", "--json", "--set", "source.Order.connector=kafak"]);
    let output = command.env("FLARE_SOURCE_ORDER_PATH", "x").env("FLARE_DATASOURCE_OTHER_URL", "y").output();
    let problems = problems(&output.unwrap());
    let found: Vec<_> = problems.iter().map(|problem| (&problem["code"], &problem["remedy"])).collect();
    assert_eq!(found, [(&"unknown-connector".into(), &"did you mean `kafka`?".into())]);
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
    assert!(out.contains("dirty.connector = files  (flare.toml)"), "{out}");
    folder.write("flare.toml", CONFIG.split("[dirty]").next().unwrap());
    let out = text(&run(&folder, &["config"]).stdout);
    assert!(out.contains("dirty.connector = log  (default)"), "{out}");
    assert!(out.contains("dirty.level = warn  (default)"), "{out}");
}

#[test]
fn doctor_finds_everything_and_says_so_by_its_exit_code() {
    let folder = folder();
    assert_eq!(run(&folder, &["doctor"]).status.code(), Some(0));
    let wrong = ["doctor", "--set", "sink.Wide.tabel=x", "--set", "lookup.User.timeout=soon", "--json"];
    let output = run(&folder, &wrong);
    assert_eq!(output.status.code(), Some(1));
    let codes: Vec<_> = problems(&output).iter().map(|problem| problem["code"].clone()).collect();
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
    assert!(out.contains("--drain-timeout") && out.contains("[duration above 0s] [default: 30s]"), "{out}");
    assert!(out.contains("[default: 200ms]"), "the attribute's checkpoint: {out}");
    assert!(out.contains("FLARE_LOG"), "{out}");
}
