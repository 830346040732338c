//! Every check that a change must pass, in the order of their cost.

use std::time::Instant;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{command, packages, test};

struct Step {
    name: &'static str,
    run: fn(&Workspace) -> Result<u8>,
}

const STEPS: &[Step] = &[
    Step { name: "format", run: |workspace| cargo(workspace, &["fmt", "--all", "--check"]) },
    Step {
        name: "packages",
        run: |workspace| packages::ensure(packages::KAFKA_BUILD, &workspace.services()).map(|()| 0),
    },
    Step {
        name: "no features",
        run: |workspace| cargo(workspace, &["check", "-p", "flare", "--no-default-features"]),
    },
    Step { name: "default features", run: |workspace| cargo(workspace, &["check", "-p", "flare"]) },
    Step { name: "clippy", run: clippy },
    Step { name: "documentation", run: document },
    Step { name: "tests", run: |workspace| test::run(workspace, true, &[]) },
];

/// Runs the steps until one fails and returns the exit code of that one.
pub(crate) fn run(workspace: &Workspace) -> Result<u8> {
    run_steps(workspace, STEPS)
}

fn run_steps(workspace: &Workspace, steps: &[Step]) -> Result<u8> {
    let mut passed = 0;
    let mut code = 0;
    for step in steps {
        code = run_step(workspace, step);
        if code != 0 {
            break;
        }
        passed += 1;
    }
    let failed = u8::from(code != 0);
    println!("ci: {passed} passed, {failed} failed");
    Ok(code)
}

fn run_step(workspace: &Workspace, step: &Step) -> u8 {
    eprintln!("ci: {} begins", step.name);
    let begin = Instant::now();
    let code = (step.run)(workspace).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        1
    });
    let outcome = if code == 0 { "passed" } else { "failed" };
    let seconds = begin.elapsed().as_secs_f64();
    println!("ci: {} {outcome} after {seconds:.1} s", step.name);
    code
}

fn clippy(workspace: &Workspace) -> Result<u8> {
    let what = ["clippy", "--workspace", "--all-targets", "--all-features"];
    command::foreground(workspace.cargo().args(what).args(["--", "-D", "warnings"]))
}

fn document(workspace: &Workspace) -> Result<u8> {
    let what = ["doc", "--workspace", "--no-deps", "--all-features"];
    command::foreground(workspace.cargo().args(what).env("RUSTDOCFLAGS", "-D warnings"))
}

fn cargo(workspace: &Workspace, args: &[&str]) -> Result<u8> {
    command::foreground(workspace.cargo().args(args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_at_the_first_step_that_fails() {
        let step = |name, run| Step { name, run };
        let steps = [
            step("good", |_| Ok(0)),
            step("bad", |_| Ok(101)),
            step("never", |_| panic!("ran after a failure")),
        ];
        let workspace = Workspace::find().expect("run by cargo");
        assert_eq!(run_steps(&workspace, &steps).expect("ran"), 101);
        assert_eq!(run_steps(&workspace, &steps[..1]).expect("ran"), 0);
    }

    #[test]
    fn a_step_that_cannot_run_fails() {
        let steps = [Step { name: "impossible", run: |_| anyhow::bail!("no compiler") }];
        let workspace = Workspace::find().expect("run by cargo");
        assert_eq!(run_steps(&workspace, &steps).expect("ran"), 1);
    }
}
