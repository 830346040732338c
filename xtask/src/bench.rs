//! Runs one program of the package `flare-benches`.

use std::path::Path;

use anyhow::{Result, bail};

use crate::workspace::{Workspace, anywhere};
use crate::{command, packages, services};

const PACKAGE: &str = "flare-benches";

/// A benchmark; its program has the same name.
struct Bench {
    name: &'static str,
    features: &'static [&'static str],
    services: &'static [&'static str],
}

const BENCHES: &[Bench] = &[
    Bench { name: "chain", features: &[], services: &[] },
    Bench { name: "lookup", features: &[], services: &[] },
    Bench { name: "state", features: &["disk-state"], services: &[] },
    Bench { name: "large-state", features: &["disk-state"], services: &[] },
    Bench { name: "windows", features: &[], services: &[] },
    Bench { name: "kafka-json", features: &["kafka"], services: &["kafka"] },
];

/// The names that the command takes.
pub(crate) fn names() -> Vec<&'static str> {
    BENCHES.iter().map(|bench| bench.name).collect()
}

/// Builds and runs a benchmark with the services it needs, and returns its exit code.
pub(crate) fn run(workspace: &Workspace, name: &str, json: Option<&Path>, args: &[String]) -> Result<u8> {
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) else {
        bail!("no benchmark `{name}`; there are {}", names().join(", "));
    };
    let folder = workspace.services();
    if bench.features.contains(&"kafka") {
        packages::ensure(packages::KAFKA_BUILD, &folder)?;
    }
    let mut cargo = workspace.cargo();
    cargo.args(arguments(bench)).arg("--");
    if let Some(file) = json {
        // The program runs in the workspace root.
        cargo.arg("--json").arg(anywhere(file)?);
    }
    cargo.args(args);
    if bench.services.is_empty() {
        return command::foreground(&mut cargo);
    }
    services::during(&folder, bench.services, |addresses| command::foreground(cargo.envs(addresses)))
}

fn arguments(bench: &Bench) -> Vec<String> {
    let fixed = ["run", "--release", "-p", PACKAGE, "--bin", bench.name];
    let mut arguments: Vec<String> = fixed.map(str::to_owned).into();
    if !bench.features.is_empty() {
        arguments.extend(["--features".to_owned(), bench.features.join(",")]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_of_the_table_is_known() {
        for bench in BENCHES {
            for service in bench.services {
                assert!(services::names().contains(service), "{service}");
            }
        }
    }

    #[test]
    fn asks_for_a_feature_only_where_one_is_needed() {
        let line = |name| {
            let bench = BENCHES.iter().find(|bench| bench.name == name);
            arguments(bench.expect("in the table")).join(" ")
        };
        let chain = "run --release -p flare-benches --bin chain";
        assert_eq!(line("chain"), chain);
        let kafka = "run --release -p flare-benches --bin kafka-json --features kafka";
        assert_eq!(line("kafka-json"), kafka);
    }
}
