//! The folder of one service: its data, logs and the record of what runs.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::services::{Service, address, process};

/// Where a service lives and at which port it listens.
pub(crate) struct Site {
    /// The service's own folder; its processes have a path below it among their arguments.
    pub(crate) home: PathBuf,
    pub(crate) port: u16,
}

impl Site {
    /// The site of a service, at the port that the environment asks for.
    pub(crate) fn find(service: &dyn Service, services: &Path) -> Result<Self> {
        let facts = service.facts();
        Ok(Self {
            home: service.home(services)?,
            port: address::port(facts.port_variable, facts.usual_port)?,
        })
    }

    /// What the server stores.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// The output of one process since its last start.
    pub(crate) fn log(&self, role: &str) -> PathBuf {
        self.home.join(format!("{role}.log"))
    }

    /// Writes a file beside the data and returns its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.home.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Makes a folder complete or not at all: `fill` gets a scratch folder that takes its place.
    ///
    /// Does nothing when the folder is there.
    pub(crate) fn fill_once(&self, folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if folder.exists() {
            return Ok(());
        }
        let scratch = folder.with_added_extension("new");
        remove_folder(&scratch)?;
        fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
        fill(&scratch)?;
        fs::rename(&scratch, folder).with_context(|| format!("cannot put {} in its place", folder.display()))
    }
}

/// The processes of a service that was started, as its pid file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) port: u16,
    pub(crate) pids: Vec<u32>,
}

impl Record {
    /// Reads the record of a home; `None` when nothing was started there.
    pub(crate) fn load(home: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(Self::file(home)).ok()?)
    }

    /// Writes the record in one step, so that no reader sees half of it.
    pub(crate) fn save(&self, home: &Path) -> Result<()> {
        let file = Self::file(home);
        let scratch = file.with_added_extension("new");
        fs::write(&scratch, self.render())
            .and_then(|()| fs::rename(&scratch, &file))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// Forgets what was started.
    pub(crate) fn remove(home: &Path) -> Result<()> {
        let file = Self::file(home);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", file.display()))
            }
            _ => Ok(()),
        }
    }

    /// Those processes that still run and are ours.
    pub(crate) fn alive(&self, home: &Path) -> Vec<u32> {
        let ours = |pid: &&u32| process::is_ours(**pid, home);
        self.pids.iter().filter(ours).copied().collect()
    }

    /// Whether every process runs.
    pub(crate) fn is_whole(&self, home: &Path) -> bool {
        !self.pids.is_empty() && self.alive(home).len() == self.pids.len()
    }

    fn file(home: &Path) -> PathBuf {
        home.join("pid")
    }

    /// The port on the first line, a process id on each further one.
    fn render(&self) -> String {
        self.pids.iter().fold(format!("{}\n", self.port), |text, pid| format!("{text}{pid}\n"))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let port = lines.next()?.parse().ok()?;
        let pids = lines.map(|line| line.parse().ok()).collect::<Option<_>>()?;
        Some(Self { port, pids })
    }
}

/// Keeps other commands off a service until it is dropped.
pub(crate) fn lock(services: &Path, name: &str) -> Result<File> {
    fs::create_dir_all(services).with_context(|| format!("cannot create {}", services.display()))?;
    // Outside the home, which `wipe` removes.
    let path = services.join(format!("{name}.lock"));
    let unusable = || format!("cannot lock {}", path.display());
    let file = File::create(&path).with_context(unusable)?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            eprintln!("{name}: waiting for another command to finish with it");
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(unusable),
    }
    file.lock().with_context(unusable)?;
    Ok(file)
}

/// Removes a folder and what is in it; one that is not there is fine.
pub(crate) fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn a_record_survives_writing_and_reading() {
        let folder = tempfile::tempdir().expect("a folder");
        let record = Record { port: 29092, pids: vec![17, 4_194_303] };
        record.save(folder.path()).expect("writable");
        assert_eq!(Record::load(folder.path()), Some(record));
        Record::remove(folder.path()).expect("removable");
        Record::remove(folder.path()).expect("nothing to do");
        assert_eq!(Record::load(folder.path()), None);
    }

    #[test]
    fn a_damaged_record_is_none() {
        assert_eq!(Record::parse(""), None);
        assert_eq!(Record::parse("29092\nabc\n"), None);
    }

    #[test]
    fn a_process_of_another_program_is_not_alive() {
        let record = Record { port: 1, pids: vec![std::process::id()] };
        assert!(!record.is_whole(Path::new("/no/such/services/kafka")));
    }

    #[test]
    fn half_a_folder_never_takes_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let site = Site { home: folder.path().to_path_buf(), port: 1 };
        let fail = |_: &Path| bail!("interrupted");
        site.fill_once(&site.data(), fail).expect_err("interrupted");
        assert!(!site.data().exists());
        let fill = |scratch: &Path| Ok(fs::write(scratch.join("file"), "")?);
        site.fill_once(&site.data(), fill).expect("filled");
        site.fill_once(&site.data(), fail).expect("nothing to do");
        assert!(site.data().join("file").exists());
    }

    #[test]
    fn a_second_lock_waits_for_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = lock(folder.path(), "kafka").expect("free");
        let path = folder.path().join("kafka.lock");
        let second = File::create(path).expect("there");
        assert!(second.try_lock().is_err());
        drop(first);
        assert!(second.try_lock().is_ok());
    }
}
