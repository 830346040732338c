//! The directory of one store.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// Of one name at most so many.
const MOST: usize = 10_000;

const LOCK: &str = "lock";
const TREE: &str = "tree";

/// A directory that belongs to one store: empty when it is taken, removed when it is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Held for as long as the file is open.
    _lock: File,
}

impl Directory {
    /// Takes the first directory `name-NUMBER` in `parent` that nobody has, and empties it of what a killed process left
    /// behind.
    pub(super) fn take(parent: &Path, name: &str) -> Result<Self> {
        let name = plain(name);
        for number in 0..MOST {
            let path = parent.join(format!("{name}-{number}"));
            if let Some(taken) = Self::try_take(&path).map_err(|error| unusable(&path, error))? {
                return Ok(taken);
            }
        }
        let message = "all directories of this name for states are used by somebody else";
        Err(Error::new(ErrorKind::Config, message).with("directory", parent.display()).with("name", name))
    }

    /// `None` where somebody else has it.
    fn try_take(path: &Path) -> io::Result<Option<Self>> {
        loop {
            fs::create_dir_all(path)?;
            let lock = match File::create(path.join(LOCK)) {
                // Whoever had it has just removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                lock => lock?,
            };
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
                Ok(()) if !is_at(&lock, &path.join(LOCK)) => continue,
                Ok(()) => {}
            }
            return match fs::remove_dir_all(path.join(TREE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(Some(Self { path: path.to_owned(), _lock: lock })),
            };
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the tree's files are.
    pub(super) fn tree(&self) -> PathBuf {
        self.path.join(TREE)
    }

    fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(self.tree())?;
        fs::remove_file(self.path.join(LOCK))?;
        fs::remove_dir(&self.path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(directory = %self.path.display(), %error, "files of states are left behind");
        }
    }
}

/// Whether the file is still the one at the path; else it was removed between opening and locking it.
fn is_at(file: &File, path: &Path) -> bool {
    let (own, there) = (file.metadata(), fs::metadata(path));
    own.is_ok_and(|own| there.is_ok_and(|there| own.ino() == there.ino()))
}

/// A name as a part of a path.
fn plain(name: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    name.chars().map(|letter| if fits(letter) { letter } else { '_' }).collect()
}

fn unusable(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Config, "the directory of states cannot be used")
        .with("directory", path.display())
        .caused_by(error)
}
