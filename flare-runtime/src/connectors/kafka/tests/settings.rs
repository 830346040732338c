//! Which settings are refused, and with what words.

use super::*;

fn problems_of(text: &str) -> Vec<(&'static str, String)> {
    let problems = open_source(text).err().expect("problems");
    problems.iter().map(|problem| (problem.code, problem.to_string())).collect()
}

fn source(settings: &str) -> String {
    format!("[source.orders]\ntopic = \"orders\"\ngroup = \"g\"\n{settings}")
}

#[test]
fn takes_the_defaults() {
    let factory = open_source(&source("")).map_err(Problems::into_result).expect("complete");
    assert_eq!(factory.describe(), "kafka topic orders");
    assert!(open_sink("[sink.orders]\ntopic = \"orders\"").is_ok());
}

#[test]
fn refuses_a_partner_setting_without_its_choice() {
    let settings = "start_timestamp = \"2026-01-31T08:00:00Z\"\nend_offsets = { 0 = 1 }\nend = \"timestamp\"";
    let problems = problems_of(&source(settings));
    let codes: Vec<_> = problems.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, ["conflicting-settings", "missing-setting", "conflicting-settings"]);
    assert!(problems[0].1.contains("`start_timestamp` counts only with start = \"timestamp\""));
    assert!(problems[1].1.contains("source.orders.end_timestamp"));
    assert!(problems[2].1.contains("`end_offsets`"));
}

#[test]
fn refuses_moments_and_offsets_that_are_none() {
    let settings = "start = \"timestamp\"\nstart_timestamp = \"yesterday\"\nend = \"offsets\"\n\
                    end_offsets = { 0 = -5, a = 1 }";
    let problems = problems_of(&source(settings));
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].1.contains("2026-01-31T08:00:00Z"));
    assert!(problems[1].1.contains("`0 = -5`"));
    assert!(problems[2].1.contains("end_offsets = { 0 = 1200"));
}

#[test]
fn takes_the_name_of_the_job_for_its_group() {
    assert!(open_source("[source.orders]\ntopic = \"orders\"").is_ok());
}

#[test]
fn refuses_properties_that_are_unknown_or_flares_own() {
    let settings = "[source.orders.properties]\n\"group.id\" = \"x\"\n\"fetch.min.byte\" = 5\n\
                    \"fetch.min.bytes\" = \"many\"\n\"client.rack\" = \"a\"\n\
                    [cluster.kafka.properties]\n\"enable.auto.commit\" = true";
    let problems = problems_of(&source(settings));
    let texts: String = problems.iter().map(|(_, text)| format!("{text}\n")).collect();
    assert_eq!(problems.len(), 4, "{texts}");
    assert!(texts.contains("cluster.kafka.properties.enable.auto.commit"), "{texts}");
    assert!(texts.contains("use `group`"), "{texts}");
    assert!(texts.contains("No such configuration property: \"fetch.min.byte\""), "{texts}");
    assert!(texts.contains("Invalid value"), "{texts}");
}

#[test]
fn refuses_security_that_this_build_lacks() {
    let settings = "[cluster.kafka]\nsecurity_protocol = \"ssl\"\npassword = \"hunter2\"";
    let problems = problems_of(&source(settings));
    let codes: Vec<_> = problems.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, ["unsupported", "conflicting-settings"]);
    assert!(problems.iter().all(|(_, text)| !text.contains("hunter2")));
}

#[test]
fn refuses_sink_settings_that_cannot_work() {
    let text = "[sink.orders]\ntopic = \"orders\"\nlinger = \"3m\"\ncompression = \"zstd\"\n\
                [sink.orders.properties]\n\"transactional.id\" = \"a\"";
    let problems = open_sink(text).err().expect("problems");
    let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["conflicting-settings", "unsupported", "owned-property"]);
}
