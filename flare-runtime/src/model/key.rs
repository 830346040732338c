//! Keys of streams, and the key groups that spread them over subtasks.

use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Timestamp;

/// What a stream can be keyed by.
///
/// A key's group follows from [`Key::hash32`] alone and stays the same for ever, since state is restored by it. A struct
/// or an enum becomes a key by `#[derive(Key)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a stream",
    label = "not a key type",
    note = "use an integer, bool, char, String or Timestamp, an Option of these, a tuple of up to four, or a struct or enum with `#[derive(Key)]`"
)]
pub trait Key:
    Clone + Eq + Ord + Hash + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The hash that Java's `hashCode` gives for the same value, so that state keeps its place between engines.
    fn hash32(&self) -> i32;
}

macro_rules! small_keys {
    ($($ty:ty),*) => { $(
        impl Key for $ty {
            fn hash32(&self) -> i32 {
                *self as i32
            }
        }
    )* };
}

macro_rules! large_keys {
    ($($ty:ty),*) => { $(
        impl Key for $ty {
            fn hash32(&self) -> i32 {
                fold(*self as u64)
            }
        }
    )* };
}

small_keys!(i8, i16, i32, u8, u16, u32, char);
large_keys!(i64, u64, isize, usize);

/// Of a `java.lang.Long`.
fn fold(bits: u64) -> i32 {
    (bits ^ (bits >> 32)) as i32
}

impl Key for bool {
    fn hash32(&self) -> i32 {
        if *self { 1231 } else { 1237 }
    }
}

impl Key for String {
    fn hash32(&self) -> i32 {
        let units = self.encode_utf16();
        units.fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
    }
}

impl Key for Timestamp {
    fn hash32(&self) -> i32 {
        self.as_millis().hash32()
    }
}

impl Key for () {
    fn hash32(&self) -> i32 {
        0
    }
}

impl<K: Key> Key for Option<K> {
    fn hash32(&self) -> i32 {
        self.as_ref().map_or(0, Key::hash32)
    }
}

/// The hash of parts in this order: `31 * hash + part`, from the first part on; of none it is 0.
pub fn combine<const N: usize>(parts: [i32; N]) -> i32 {
    let combined = parts.into_iter().reduce(|hash, part| hash.wrapping_mul(31).wrapping_add(part));
    combined.unwrap_or(0)
}

macro_rules! tuple_keys {
    ($first:ident.$zero:tt $($part:ident.$index:tt)*) => {
        impl<$first: Key, $($part: Key),*> Key for ($first, $($part,)*) {
            fn hash32(&self) -> i32 {
                combine([self.$zero.hash32() $(, self.$index.hash32())*])
            }
        }
    };
}

tuple_keys!(A.0 B.1);
tuple_keys!(A.0 B.1 C.2);
tuple_keys!(A.0 B.1 C.2 D.3);

/// How keys spread: over key groups, and these over subtasks, in the way of Flink's `KeyGroupRangeAssignment`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyGroups {
    /// Number of groups: the job's maximum parallelism.
    pub count: usize,
}

impl KeyGroups {
    /// The group of a key.
    pub fn of<K: Key>(self, key: &K) -> usize {
        murmur(key.hash32()) as usize % self.count.max(1)
    }

    /// The subtask that a group belongs to.
    pub fn subtask(self, group: usize, parallelism: usize) -> usize {
        group * parallelism / self.count.max(1)
    }

    /// The groups of a subtask: as in [`KeyGroups::subtask`], the other way round.
    pub fn range(self, subtask: usize, parallelism: usize) -> Range<usize> {
        let start = |subtask: usize| (subtask * self.count).div_ceil(parallelism.max(1));
        start(subtask)..start(subtask + 1)
    }
}

/// The finalizer of MurmurHash3 over one 32-bit word, made positive.
fn murmur(code: i32) -> u32 {
    let code = (code as u32).wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let code = code.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64) ^ 4;
    let code = (code ^ (code >> 16)).wrapping_mul(0x85eb_ca6b);
    let code = (code ^ (code >> 13)).wrapping_mul(0xc2b2_ae35);
    let code = (code ^ (code >> 16)) as i32;
    code.checked_abs().unwrap_or(0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_java_does() {
        assert_eq!("hello".to_owned().hash32(), 99_162_322);
        assert_eq!(5_000_000_000_i64.hash32(), 705_032_705);
        assert_eq!((-1_i64).hash32(), 0);
        assert_eq!((1_i32, true).hash32(), 31 + 1231);
    }

    #[test]
    fn gives_every_subtask_a_range_of_groups() {
        let groups = KeyGroups { count: 128 };
        for parallelism in 1..=7 {
            let owners: Vec<_> = (0..128).map(|group| groups.subtask(group, parallelism)).collect();
            assert!(owners.is_sorted() && owners[0] == 0 && owners[127] == parallelism - 1);
            for (group, owner) in owners.into_iter().enumerate() {
                assert!(groups.range(owner, parallelism).contains(&group));
            }
        }
        let first: Vec<_> = (0..6_i32).map(|key| groups.of(&key)).collect();
        assert_eq!(first, [94, 86, 127, 113, 7, 126], "what Flink assigns to these integers");
        let used: std::collections::BTreeSet<_> = (0..10_000_i32).map(|key| groups.of(&key)).collect();
        assert_eq!(used.len(), 128);
    }
}
