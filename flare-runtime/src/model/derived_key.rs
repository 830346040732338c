//! What the code that `#[derive(Key)]` emits is written with.

use std::fmt::Debug;
use std::hash::Hash;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Key;
pub use super::key::combine;

/// What `#[derive(Key)]` implements; with the derives that a key needs beside it, the type is a [`Key`].
pub trait DerivedKey: Send + Sync + 'static {
    /// The hash of all parts, in their order.
    fn hash_parts(&self) -> i32;
}

// Not the derive itself implements `Key`, since the compiler would tell what is missing as a matter of that trait.
#[diagnostic::do_not_recommend]
impl<K> Key for K
where
    K: DerivedKey + Clone + Eq + Ord + Hash + Debug + Serialize + DeserializeOwned,
{
    fn hash32(&self) -> i32 {
        self.hash_parts()
    }
}

/// The hash of a field.
pub fn hash_of<K: Key>(field: &K) -> i32 {
    field.hash32()
}

/// Compiles only where nothing is missing beside the derive.
pub const fn check_derives<K>()
where
    K: NeedsClone + NeedsDebug + NeedsEq + NeedsOrd + NeedsHash + NeedsSerialize + NeedsDeserialize,
{
}

macro_rules! needs {
    ($($name:ident: $bound:path, $message:literal, $label:literal;)*) => { $(
        #[doc = $message]
        #[diagnostic::on_unimplemented(
            message = $message,
            label = $label,
            note = "`#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Key)]` has all that a key needs"
        )]
        pub trait $name {}

        #[diagnostic::do_not_recommend]
        impl<K: $bound> $name for K {}
    )* };
}

needs! {
    NeedsClone: Clone, "`{Self}` derives `Key` without `Clone`", "add `Clone` to the derive";
    NeedsDebug: Debug, "`{Self}` derives `Key` without `Debug`", "add `Debug` to the derive";
    NeedsEq: Eq, "`{Self}` derives `Key` without `Eq`", "add `PartialEq` and `Eq` to the derive";
    NeedsOrd: Ord, "`{Self}` derives `Key` without `Ord`", "add `PartialOrd` and `Ord` to the derive";
    NeedsHash: Hash, "`{Self}` derives `Key` without `Hash`", "add `Hash` to the derive";
    NeedsSerialize: Serialize, "`{Self}` derives `Key` without `Serialize`", "add `Serialize` to the derive";
    NeedsDeserialize: DeserializeOwned,
        "`{Self}` derives `Key` without `Deserialize`", "add `Deserialize` to the derive";
}
