//! Notices Ctrl-C and termination, so that servers can be stopped before the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static SEEN: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on such a signal only sets what [`seen`] reports.
pub(crate) fn watch() -> Result<()> {
    if SEEN.get().is_some() {
        return Ok(());
    }
    let flag = SEEN.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag)).context("cannot watch for interrupts")?;
    }
    Ok(())
}

/// Whether the user or the system asked this command to end.
pub(crate) fn seen() -> bool {
    SEEN.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}
