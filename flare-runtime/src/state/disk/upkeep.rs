//! The thread that tidies a tree: merges its files, drops those of ended tables.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use lsm_tree::{AbstractTree, AnyTree};

use super::numbers::Numbers;
use super::tree::{NEWEST, leveled};

/// So many files over one another make reads slow; then writes wait for merges.
const MAX_OVERLAPPING: usize = 12;

/// The thread and its orders. Ends the thread when it is dropped.
pub(super) struct Upkeep {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and the others share.
struct Desk {
    tree: AnyTree,
    numbers: Arc<Numbers>,
    orders: Mutex<Orders>,
    /// The orders, or what came of them, have changed.
    changed: Condvar,
}

#[derive(Default)]
struct Orders {
    merge: bool,
    ended: Vec<u32>,
    /// Why the thread has given up.
    failure: Option<Arc<lsm_tree::Error>>,
}

impl Upkeep {
    /// Starts the thread.
    pub(super) fn start(tree: AnyTree, numbers: Arc<Numbers>, path: &Path) -> std::io::Result<Self> {
        let desk = Desk { tree, numbers, orders: Mutex::default(), changed: Condvar::new() };
        let desk = Arc::new(desk);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let builder = thread::Builder::new().name(format!("state-{name}"));
        let thread = builder.spawn({
            let desk = Arc::clone(&desk);
            move || desk.work()
        })?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Orders what a write makes necessary; waits while too much of it is undone.
    ///
    /// # Errors
    /// The thread has given up.
    pub(super) fn merge(&self) -> Result<(), Arc<lsm_tree::Error>> {
        let mut orders = self.desk.orders();
        orders.merge = true;
        self.desk.changed.notify_all();
        while orders.failure.is_none() && self.desk.tree.l0_run_count() > MAX_OVERLAPPING {
            orders.merge = true;
            orders = self.desk.wait(orders);
        }
        orders.failure.clone().map_or(Ok(()), Err)
    }

    /// Orders the files of an ended table to be dropped.
    pub(super) fn drop_files(&self, number: u32) {
        self.desk.orders().ended.push(number);
        self.desk.changed.notify_all();
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.desk.numbers.close();
        // With the lock, so that the thread is not between its look at the orders and its sleep.
        drop(self.desk.orders());
        self.desk.changed.notify_all();
        let ended = self.thread.take().map(JoinHandle::join);
        if matches!(ended, Some(Err(_))) {
            tracing::warn!("the thread that tidies states has panicked");
        }
    }
}

impl Desk {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, orders: MutexGuard<'a, Orders>) -> MutexGuard<'a, Orders> {
        self.changed.wait(orders).unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some((merge, ended)) = self.next() {
            let done = self.drop_ended(&ended).and_then(|()| if merge { self.merge() } else { Ok(()) });
            let mut orders = self.orders();
            if let Err(error) = done {
                orders.failure = Some(Arc::new(error));
            }
            self.changed.notify_all();
            if orders.failure.is_some() {
                return;
            }
        }
    }

    /// The next orders; none when the store is dropped.
    fn next(&self) -> Option<(bool, Vec<u32>)> {
        let mut orders = self.orders();
        while !self.numbers.is_closing() && !orders.merge && orders.ended.is_empty() {
            orders = self.wait(orders);
        }
        let taken = (std::mem::take(&mut orders.merge), std::mem::take(&mut orders.ended));
        (!self.numbers.is_closing()).then_some(taken)
    }

    fn drop_ended(&self, ended: &[u32]) -> lsm_tree::Result<()> {
        let gaps: BTreeSet<_> = ended.iter().map(|number| self.numbers.gap(*number)).map(bounds).collect();
        gaps.into_iter().try_for_each(|(from, to)| self.tree.drop_range(from..to))
    }

    /// Merges until nothing is left to be merged.
    fn merge(&self) -> lsm_tree::Result<()> {
        let mut before = None;
        while before != Some(self.levels()) {
            before = Some(self.levels());
            self.tree.compact(leveled(), NEWEST)?;
            self.changed.notify_all();
        }
        Ok(())
    }

    /// What a merge changes.
    fn levels(&self) -> (Vec<Option<usize>>, u64) {
        let files = (0..7).map(|level| self.tree.level_table_count(level)).collect();
        (files, self.tree.disk_space())
    }
}

fn bounds(numbers: Range<u32>) -> ([u8; 4], [u8; 4]) {
    (numbers.start.to_be_bytes(), numbers.end.to_be_bytes())
}
