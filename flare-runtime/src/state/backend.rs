//! Where states are kept: in memory, or on disk.

use bytesize::ByteSize;

use super::states::Kept;
use super::table::Table;
use super::ttl::Ttl;
use crate::config::{choices, settings};
#[cfg(not(feature = "disk-state"))]
use crate::error::Error;
use crate::error::Result;
use crate::model::{Key, KeyGroups, SubtaskId};

choices! {
    /// What keeps states while the job runs.
    pub enum BackendKind {
        /// Memory: fast, and as large as memory is.
        Memory = "memory",
        /// Local disk, with what is in use in memory: for state that is larger.
        Disk = "disk",
    }
}

settings! {
    /// How keyed state is kept: the section `state`.
    pub struct StateSettings {
        /// What keeps states while the job runs: `memory` or `disk`, which needs the feature `disk-state`.
        backend: BackendKind = "memory",
        /// Where `disk` keeps them, in a directory for each subtask; the default is `flare-state-UID` in the system's
        /// directory of temporary files. What is there is scratch: it is removed at the end, and what a killed job left
        /// behind when it starts anew.
        directory: Option<String>,
        /// Memory of `disk` for values in use, of each subtask.
        write_buffer: ByteSize [from "1MiB"] = "64MiB",
        /// Memory of `disk` for blocks of files, of each subtask.
        block_cache: ByteSize = "128MiB",
    }
}

/// Where the states of one subtask are kept.
#[derive(Clone, Debug, Default)]
pub enum Backend {
    /// In memory.
    #[default]
    Memory,
    /// On disk.
    #[cfg(feature = "disk-state")]
    Disk(super::disk::DiskStore, KeyGroups),
}

impl Backend {
    /// Opens what the settings name for one subtask of a job.
    ///
    /// # Errors
    /// `Config` when this build has no such backend; `Failed` when its directory cannot be made.
    pub fn open(settings: &StateSettings, job: &str, subtask: &SubtaskId, groups: KeyGroups) -> Result<Self> {
        match settings.backend {
            BackendKind::Memory => Ok(Self::Memory),
            BackendKind::Disk => on_disk(settings, job, subtask, groups),
        }
    }

    /// An empty state of this name.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn table<K: Key, V: Kept>(&self, name: &str, ttl: Option<Ttl>) -> Result<Table<K, V>> {
        match self {
            Self::Memory => {
                let _ = name;
                Ok(Table::new(ttl))
            }
            #[cfg(feature = "disk-state")]
            Self::Disk(store, groups) => Table::on_disk(store, name, ttl, *groups),
        }
    }
}

impl StateSettings {
    /// The feature of `flare` that the backend needs and this build does not have.
    pub fn missing_feature(&self) -> Option<&'static str> {
        (self.backend == BackendKind::Disk && !cfg!(feature = "disk-state")).then_some("disk-state")
    }
}

#[cfg(feature = "disk-state")]
fn on_disk(settings: &StateSettings, job: &str, subtask: &SubtaskId, groups: KeyGroups) -> Result<Backend> {
    let directory = settings.directory.as_ref().map_or_else(temporary, std::path::PathBuf::from);
    let StateSettings { write_buffer, block_cache, .. } = settings;
    let (write_buffer, block_cache) = (write_buffer.as_u64(), block_cache.as_u64());
    let settings = super::disk::DiskSettings { directory, write_buffer, block_cache };
    let store =
        super::disk::DiskStore::open(&settings, &format!("{job}-{}-{}", subtask.operator, subtask.index));
    store.map(|store| Backend::Disk(store, groups)).map_err(|error| error.with("setting", "state.directory"))
}

/// In the directory of temporary files, where each user needs an own one.
#[cfg(feature = "disk-state")]
fn temporary() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("flare-state-{}", rustix::process::getuid().as_raw()))
}

#[cfg(not(feature = "disk-state"))]
fn on_disk(_: &StateSettings, _: &str, subtask: &SubtaskId, _: KeyGroups) -> Result<Backend> {
    let error = Error::new(crate::error::ErrorKind::Config, "this build keeps no state on disk");
    Err(error.with("operator", subtask).with_remedy("switch on the feature `disk-state` of `flare`"))
}
