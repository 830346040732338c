//! Developer commands of Flare: `cargo xtask services|demo|test|ci|bench`.

mod bench;
mod ci;
mod command;
mod demo;
mod interrupt;
mod packages;
mod services;
mod test;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", about = "Developer commands of Flare")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Start, stop and look at the servers that the tests talk to
    #[command(subcommand)]
    Services(ServicesTask),
    /// Run all tests, by default with the servers they need
    Test {
        /// Start no servers; FLARE_TEST_* variables that are set still reach the tests
        #[arg(long)]
        no_services: bool,
        /// Passed on to `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Start Kafka and MariaDB and load the example `order_wide` into them
    Demo,
    /// Run every check that a change must pass
    Ci,
    /// Run one benchmark in a release build
    Bench {
        #[arg(value_parser = PossibleValuesParser::new(bench::names()))]
        name: String,
        /// Write the result to this file as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Passed on to the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

#[derive(Subcommand)]
enum ServicesTask {
    /// Install, start and wait for servers, then print `export` lines for a shell
    Up(Names),
    /// Stop servers and keep their data
    Down(Names),
    /// Say which servers run
    Status(Names),
    /// Stop servers and remove their data
    Wipe(Names),
    /// Kill servers at once, as a crash would
    Kill(Names),
}

#[derive(Args)]
struct Names {
    /// Services; all of them when none is named, but for `kill`
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(services::names()))]
    names: Vec<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.task) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<u8> {
    let workspace = Workspace::find()?;
    match task {
        Task::Services(task) => run_services(&workspace, task),
        Task::Test { no_services, args } => test::run(&workspace, !no_services, &args),
        Task::Demo => demo::run(&workspace),
        Task::Ci => ci::run(&workspace),
        Task::Bench { name, json, args } => bench::run(&workspace, &name, json.as_deref(), &args),
    }
}

fn run_services(workspace: &Workspace, task: ServicesTask) -> Result<u8> {
    let folder = workspace.services();
    match task {
        ServicesTask::Up(names) => services::up(&folder, &names.names),
        ServicesTask::Down(names) => services::down(&folder, &names.names),
        ServicesTask::Status(names) => services::status(&folder, &names.names),
        ServicesTask::Wipe(names) => services::wipe(&folder, &names.names),
        ServicesTask::Kill(names) => services::kill(&folder, &names.names),
    }?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_misspelt_service_gets_a_suggestion() {
        let error = Cli::try_parse_from(["xtask", "services", "up", "kafak"])
            .err()
            .expect("the name is wrong")
            .to_string();
        assert!(error.contains("'kafka'"), "{error}");
        assert!(error.contains("mariadb"), "{error}");
    }

    #[test]
    fn test_passes_unknown_flags_on() {
        let cli = Cli::try_parse_from(["xtask", "test", "--no-services", "-p", "flare", "--", "--nocapture"]);
        let Task::Test { no_services, args } = cli.expect("valid").task else {
            panic!("parsed another command");
        };
        assert!(no_services);
        assert_eq!(args, ["-p", "flare", "--", "--nocapture"]);
    }
}
