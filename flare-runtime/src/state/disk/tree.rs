//! How the tree of a store is set up.

use std::path::Path;
use std::sync::Arc;

use lsm_tree::compaction::Leveled;
use lsm_tree::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
    HashRatioPolicy, PinningPolicy,
};
use lsm_tree::{AnyTree, Cache, CompressionType, Config, SeqNo, SequenceNumberCounter};

use super::numbers::{Living, Numbers};

/// Nobody looks at an older state of the tree, so reads see everything and merges keep the last version only.
pub(super) const NEWEST: SeqNo = SeqNo::MAX >> 1;

/// The levels that merges make.
pub(super) fn leveled() -> Arc<Leveled> {
    Arc::new(
        Leveled::default()
            .with_l0_threshold(env("L0", 4) as u8)
            .with_table_target_size(u64::from(env("TARGET", 64)) << 20),
    )
}

pub(super) fn open(
    path: &Path,
    block_cache: u64,
    numbers: &Arc<Numbers>,
    seqno: &SequenceNumberCounter,
) -> lsm_tree::Result<AnyTree> {
    let bloom = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0));
    Config::new(path, seqno.clone(), SequenceNumberCounter::default())
        .use_cache(Arc::new(Cache::with_capacity_bytes(block_cache)))
        .filter_policy(FilterPolicy::all(bloom))
        .filter_block_pinning_policy(PinningPolicy::all(env("PIN", 1) == 1))
        .index_block_pinning_policy(PinningPolicy::all(env("PIN", 1) == 1))
        .filter_block_partitioning_policy(PinningPolicy::all(false))
        .index_block_partitioning_policy(PinningPolicy::all(false))
        .data_block_size_policy(BlockSizePolicy::all(env("BLOCK", 4096)))
        .data_block_hash_ratio_policy(HashRatioPolicy::all(env("RATIO", 0) as f32 / 100.0))
        .data_block_compression_policy(CompressionPolicy::all(match env("LZ4", 0) {
            0 => CompressionType::None,
            _ => CompressionType::Lz4,
        }))
        .with_compaction_filter_factory(Some(Arc::new(Living(Arc::clone(numbers)))))
        .open()
}

pub(super) fn env(name: &str, default: u32) -> u32 {
    std::env::var(format!("DISK_{name}")).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
