//! Runs all tests of the workspace, with the servers they need.

use anyhow::Result;

use crate::services::Addresses;
use crate::workspace::Workspace;
use crate::{command, packages, services};

/// Runs `cargo test` for the whole workspace, doctests included, and returns its exit code.
pub(crate) fn run(workspace: &Workspace, with_services: bool, args: &[String]) -> Result<u8> {
    let folder = workspace.services();
    packages::ensure(packages::KAFKA_BUILD, &folder)?;
    if with_services {
        services::during(&folder, &[], |addresses| cargo_test(workspace, addresses, args))
    } else {
        cargo_test(workspace, Addresses::new(), args)
    }
}

fn cargo_test(workspace: &Workspace, addresses: Addresses, args: &[String]) -> Result<u8> {
    let mut cargo = workspace.cargo();
    cargo.arg("test");
    // Beside `--workspace` cargo would ignore a package that the user names.
    if !names_package(args) {
        cargo.arg("--workspace");
    }
    cargo.arg("--all-features").args(args).envs(addresses);
    command::foreground(&mut cargo)
}

fn names_package(args: &[String]) -> bool {
    args.iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg.starts_with("-p") || arg.starts_with("--package"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cargos_own_arguments_name_a_package() {
        let named = |line: &str| {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            names_package(&args)
        };
        assert!(named("-p flare --lib"));
        assert!(named("--package=flare"));
        assert!(!named("windows -- -p"));
    }
}
