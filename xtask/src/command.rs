//! Runs other programs: quietly for small helpers, in the open for cargo.

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::interrupt;
use crate::services::process;

const LINES_SHOWN: usize = 20;

/// Runs a helper to its end and returns its standard output.
///
/// # Errors
///
/// The program cannot be run, or ends badly; the error holds the last lines it wrote.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| explain_spawn(command, error))?;
    let written = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = written + &String::from_utf8_lossy(&output.stderr);
        bail!("`{}` ended with {}:\n{}", describe(command), output.status, last_lines(&complaint));
    }
    Ok(written)
}

/// Runs cargo with its output shown and returns its exit code.
///
/// An interrupt that is watched for ends cargo and everything it started.
pub(crate) fn foreground(command: &mut Command) -> Result<u8> {
    eprintln!("+ {}", describe(command));
    let mut child = command.spawn().map_err(|error| explain_spawn(command, error))?;
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for cargo")? {
            return Ok(exit_code(status));
        }
        if interrupt::seen() && !told {
            process::signal_tree(child.id(), Signal::TERM);
            told = true;
        }
        sleep(Duration::from_millis(20));
    }
}

/// The program's name and arguments as one line for people.
pub(crate) fn describe(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let name = program.rsplit('/').next().unwrap_or(&program).to_owned();
    command.get_args().fold(name, |line, argument| line + " " + &argument.to_string_lossy())
}

/// The end of a text that may be long.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
}

fn explain_spawn(command: &Command, error: std::io::Error) -> anyhow::Error {
    let program = command.get_program().to_string_lossy();
    if error.kind() == ErrorKind::NotFound {
        anyhow::anyhow!("`{program}` is not there; install it and put it in PATH")
    } else {
        anyhow::Error::new(error).context(format!("cannot run `{program}`"))
    }
}

/// A shell's convention: 128 and the signal for a program that a signal ended.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_a_command_without_its_folder() {
        let mut command = Command::new("/opt/bin/cargo");
        command.args(["test", "--workspace"]);
        assert_eq!(describe(&command), "cargo test --workspace");
    }

    #[test]
    fn shows_only_the_last_lines() {
        let text: String = (0..50).map(|line| format!("{line}\n")).collect();
        let shown = last_lines(&text);
        assert!(shown.starts_with("30\n") && shown.ends_with("\n49"), "{shown}");
    }

    #[test]
    fn a_failing_helper_shows_what_it_wrote() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo the reason >&2; exit 3"]);
        let error = output(&mut command).expect_err("exit 3").to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("the reason"), "{error}");
    }

    #[test]
    fn keeps_exit_codes_and_signals_apart() {
        assert_eq!(exit_code(ExitStatus::from_raw(101 << 8)), 101);
        assert_eq!(exit_code(ExitStatus::from_raw(15)), 143);
    }
}
