//! How the tree of a store is set up.

use std::path::Path;
use std::sync::Arc;

use lsm_tree::compaction::Leveled;
use lsm_tree::config::{BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry, PinningPolicy};
use lsm_tree::{AnyTree, Cache, Config, SeqNo, SequenceNumberCounter};

use super::numbers::{Living, Numbers};

/// Nobody looks at an older state of the tree, so reads see everything and merges keep the last version only.
pub(super) const NEWEST: SeqNo = SeqNo::MAX >> 1;

/// The levels that merges make.
///
/// A batch has keys of all groups, so its merge rewrites all of the first level; half the usual size makes that cheaper.
pub(super) fn leveled() -> Arc<Leveled> {
    Arc::new(Leveled::default().with_table_target_size(32 << 20))
}

/// Makes a tree in an empty directory.
pub(super) fn open(
    path: &Path,
    block_cache: u64,
    numbers: &Arc<Numbers>,
    seqno: &SequenceNumberCounter,
) -> lsm_tree::Result<AnyTree> {
    let bloom = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0));
    // A filter that comes and goes in the cache would be read again with every key that is not there.
    let (in_memory, whole) = (PinningPolicy::all(true), PinningPolicy::all(false));
    Config::new(path, seqno.clone(), SequenceNumberCounter::default())
        .use_cache(Arc::new(Cache::with_capacity_bytes(block_cache)))
        .filter_policy(FilterPolicy::all(bloom))
        .filter_block_pinning_policy(in_memory.clone())
        .index_block_pinning_policy(in_memory)
        .filter_block_partitioning_policy(whole.clone())
        .index_block_partitioning_policy(whole)
        .with_compaction_filter_factory(Some(Arc::new(Living(Arc::clone(numbers)))))
        .open()
}
