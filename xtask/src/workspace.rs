//! Where the workspace and its build results are, and how cargo is called there.

use std::env;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::{Context, Result};

/// The folders of the checkout that this command was built from.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the workspace; the target directory follows `CARGO_TARGET_DIR`.
    pub(crate) fn find() -> Result<Self> {
        // Cargo sets the variable for the checkout at hand; a binary in a shared target
        // directory may have been built from another one.
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package
            .parent()
            .context("the xtask folder has no parent; run this through `cargo xtask`")?
            .to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty()) {
            Some(folder) => absolute(folder).context("CARGO_TARGET_DIR is no usable path")?,
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// The folder below which every service keeps its data.
    pub(crate) fn services(&self) -> PathBuf {
        self.target.join("services")
    }

    /// A cargo command in the workspace root that shares this command's target directory.
    pub(crate) fn cargo(&self) -> Command {
        let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        if env::var_os("CARGO_TARGET_DIR").is_some() {
            // A relative value would mean another folder in the root.
            command.env("CARGO_TARGET_DIR", &self.target);
        }
        command
    }
}

/// Turns a path given on the command line into one that holds in any folder.
pub(crate) fn anywhere(path: &Path) -> Result<PathBuf> {
    absolute(path).with_context(|| format!("`{}` is no usable path", path.display()))
}
