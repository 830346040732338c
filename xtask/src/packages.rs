//! System packages: which are missing, and how they are installed.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;

use anyhow::{Context, Result, bail};

use crate::command;

/// A system package, and how to see whether what it brings is there.
pub(crate) struct Package {
    /// The package's name in Debian and Ubuntu.
    pub(crate) name: &'static str,
    /// What it brings, for people.
    pub(crate) brings: &'static str,
    pub(crate) is_there: fn() -> bool,
}

/// What a build with the `kafka` feature needs beside Rust.
pub(crate) const KAFKA_BUILD: &[Package] = &[
    Package { name: "make", brings: "make", is_there: || program("make").is_some() },
    Package { name: "g++", brings: "a C++ compiler", is_there: || program("c++").is_some() },
    Package { name: "zlib1g-dev", brings: "zlib headers", is_there: || header("zlib.h") },
];

/// Installs the packages that are missing.
///
/// # Errors
///
/// Something is missing and this user or system cannot install it; the error says what to run.
pub(crate) fn ensure(packages: &[Package], lock_folder: &Path) -> Result<()> {
    if missing(packages).is_empty() {
        return Ok(());
    }
    fs::create_dir_all(lock_folder).with_context(|| format!("cannot create {}", lock_folder.display()))?;
    let lock = File::create(lock_folder.join("packages.lock"))
        .and_then(|file| file.lock().map(|()| file))
        .context("cannot lock the installation of packages")?;
    // Another command may have installed them while this one waited.
    let missing = missing(packages);
    if !missing.is_empty() {
        install(&missing)?;
    }
    drop(lock);
    Ok(())
}

/// Finds a program in `PATH` or in the folders of system programs, which users often lack there.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

fn missing(packages: &[Package]) -> Vec<&Package> {
    packages.iter().filter(|package| !(package.is_there)()).collect()
}

fn install(missing: &[&Package]) -> Result<()> {
    static UPDATE: Once = Once::new();
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let is_root = rustix::process::geteuid().is_root();
    if !is_root || program("apt-get").is_none() {
        bail!("{}", ask_user(missing));
    }
    eprintln!("installing {}", names.join(" "));
    let mut updated = Ok(String::new());
    UPDATE.call_once(|| updated = command::output(apt_get().arg("update")));
    // A single broken source must not stop what the other sources can deliver.
    if let Err(error) = updated {
        eprintln!("warning: {error:#}");
    }
    command::output(apt_get().args(["install", "-y", "--no-install-recommends"]).args(&names))?;
    match missing.iter().find(|package| !(package.is_there)()) {
        Some(package) => bail!(
            "package {} is installed, but {} is still not found; check PATH",
            package.name,
            package.brings
        ),
        None => Ok(()),
    }
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-o", "DPkg::Lock::Timeout=300"]);
    command
}

fn ask_user(missing: &[&Package]) -> String {
    let brings: Vec<&str> = missing.iter().map(|package| package.brings).collect();
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    format!(
        "missing: {}; install it, on Debian or Ubuntu with `sudo apt-get install {}`",
        brings.join(", "),
        names.join(" ")
    )
}

/// Asks the C compiler itself, as headers may be anywhere.
fn header(name: &str) -> bool {
    let compiler = Command::new("cc")
        .args(["-E", "-x", "c", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut compiler) = compiler else {
        return false;
    };
    let asked = compiler.stdin.take().is_some_and(|mut stdin| writeln!(stdin, "#include <{name}>").is_ok());
    compiler.wait().is_ok_and(|status| asked && status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: Package = Package { name: "frobnicator-dev", brings: "a frobnicator", is_there: || false };

    #[test]
    fn lists_only_what_is_missing() {
        let present = Package { name: "sh", brings: "a shell", is_there: || program("sh").is_some() };
        let names: Vec<&str> = missing(&[present, ABSENT]).iter().map(|package| package.name).collect();
        assert_eq!(names, ["frobnicator-dev"]);
    }

    #[test]
    fn tells_the_user_what_to_run() {
        let text = ask_user(&[&ABSENT]);
        assert!(text.contains("missing: a frobnicator"), "{text}");
        assert!(text.contains("apt-get install frobnicator-dev"), "{text}");
    }
}
