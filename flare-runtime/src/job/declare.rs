//! What the attributes emit: declarations, collected from everywhere in the binary, and the traits behind them.

use std::any::{Any, TypeId};

use super::Job;
use crate::config::{Literal, Place};
use crate::error::Result;
use crate::model::{FromRow, FromValue, IntoValue, RowSchema, Timestamp, Value};

/// A typed function behind `dyn Any`, so that a declaration needs no type parameter.
pub type Erased = fn() -> Box<dyn Any + Send + Sync>;

/// The reader of a record's event time.
pub type EventTimeOf<T> = fn(&T) -> Timestamp;

/// The maker of a generator's record number `n`, from 0.
pub type Generate<T> = fn(u64) -> T;

/// Emitted by `#[kafka]`, `#[jdbc]`, `#[files]` and `#[generator]`.
#[derive(Debug)]
pub struct ConnectorDeclaration {
    /// The argument `name`, else the struct's name.
    pub name: &'static str,
    /// `kafka`, `jdbc`, `files` or `generator`.
    pub connector: &'static str,
    /// The struct's name.
    pub type_name: &'static str,
    /// The struct's type.
    pub type_id: fn() -> TypeId,
    /// All arguments but `name`, `event_time` and `with`.
    pub arguments: &'static [(&'static str, Literal)],
    /// The struct's columns.
    pub schema: RowSchema,
    /// An [`EventTimeOf`] of the struct.
    pub event_time: Option<Erased>,
    /// A [`Generate`] of the struct.
    pub generate: Option<Erased>,
    /// Where the attribute stands.
    pub place: Place,
}

/// Emitted by `#[async_lookup]`.
#[derive(Debug)]
pub struct LookupDeclaration {
    /// The argument `name`, else the struct's name.
    pub name: &'static str,
    /// The connector that answers; `None` when configuration must say.
    pub connector: Option<&'static str>,
    /// The struct's name.
    pub type_name: &'static str,
    /// The struct's type.
    pub type_id: fn() -> TypeId,
    /// All arguments but `name` and `default`.
    pub arguments: &'static [(&'static str, Literal)],
    /// The struct's columns.
    pub schema: RowSchema,
    /// A `fn() -> Struct` that makes the row used by the strategy `default`.
    pub default: Option<Erased>,
    /// Where the attribute stands.
    pub place: Place,
}

/// Emitted by `#[flare_job]`.
#[derive(Debug)]
pub struct JobDeclaration {
    /// The argument `name`, else the function's name with `-` for `_`.
    pub name: &'static str,
    /// All arguments but `name`.
    pub arguments: &'static [(&'static str, Literal)],
    /// Describes the job.
    pub describe: fn(&mut Job) -> Result<()>,
    /// Where the attribute stands.
    pub place: Place,
}

inventory::collect!(ConnectorDeclaration);
inventory::collect!(LookupDeclaration);
inventory::collect!(JobDeclaration);

/// A struct with a connector attribute.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is bound to no connector",
    label = "this record type needs an attribute such as `#[kafka(…)]`, `#[files(…)]` or `#[jdbc(…)]`",
    note = "write the attribute on the struct, above its `#[derive(…)]`"
)]
pub trait Connected {}

/// A struct with `#[async_lookup]`: a dimension row and its key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no lookup",
    label = "this row type needs `#[async_lookup(…)]`",
    note = "write `#[async_lookup(datasource = \"…\", sql = \"…\")]` on the struct, above its `#[derive(…)]`"
)]
pub trait LookupRow: FromRow + Clone + Send + Sync + 'static {
    /// The type of the `#[key]` field; a tuple when there are several.
    type Key: Key;

    /// The row's key.
    fn key(&self) -> Self::Key;
}

/// What a lookup's key must be able to do.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a lookup",
    label = "not a key type",
    note = "use an integer, bool, String or Timestamp, or a tuple of up to four of these"
)]
pub trait Key: Clone + Eq + std::hash::Hash + Send + Sync + std::fmt::Debug + 'static {
    /// The parts of the key in the order of the `#[key]` fields.
    fn parts(&self) -> Vec<Value>;
}

macro_rules! single_keys {
    ($($ty:ty),*) => { $(
        impl Key for $ty {
            fn parts(&self) -> Vec<Value> {
                vec![self.into_value()]
            }
        }
    )* };
}

single_keys!(i8, i16, i32, i64, u8, u16, u32, u64, bool, String, Timestamp);

macro_rules! tuple_keys {
    ($($part:ident.$index:tt)*) => {
        impl<$($part: Key),*> Key for ($($part,)*) {
            fn parts(&self) -> Vec<Value> {
                let mut parts = Vec::new();
                $(parts.extend(self.$index.parts());)*
                parts
            }
        }
    };
}

tuple_keys!(A.0 B.1);
tuple_keys!(A.0 B.1 C.2);
tuple_keys!(A.0 B.1 C.2 D.3);

/// What the key function of a lookup may return: the row's key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the key of the lookup `{Row}`",
    label = "the key function must return `{Expected}`, the key of `{Row}`",
    note = "the key of a lookup is its `#[key]` field; with several such fields it is a tuple of them, in order"
)]
pub trait KeyOf<Row, Expected> {
    /// The key itself.
    fn into_key(self) -> Expected;
}

impl<K, Row> KeyOf<Row, K> for K {
    fn into_key(self) -> K {
        self
    }
}

/// Keeps the compiler from guessing `Expected` by the one implementation there is: then it would blame `Row`.
#[derive(Debug)]
pub struct Undecided<K>(K);

#[diagnostic::do_not_recommend]
impl<K, Row> KeyOf<Row, Undecided<K>> for K {
    fn into_key(self) -> Undecided<K> {
        Undecided(self)
    }
}

/// A function that joins a record with the dimension row found for it.
///
/// `By` tells the implementation for functions from the one for nothing. With a single one the compiler would report
/// the function's signature in words of its own.
#[diagnostic::on_unimplemented(
    message = "this function does not join `{Record}` with the lookup's row",
    label = "the join must be a function `fn({Record}, &Row) -> Out`",
    note = "`Row` is a struct with `#[async_lookup]`; a closure needs its types written: `|order: Order, user: &User| …`"
)]
pub trait Join<Record, Row, Out, By> {
    /// Joins the two.
    fn join(&mut self, record: Record, row: &Row) -> Out;
}

/// [`Join`] by a function.
#[derive(Debug)]
pub enum ByFunction {}

#[diagnostic::do_not_recommend]
impl<F, Record, Row, Out> Join<Record, Row, Out, ByFunction> for F
where
    F: FnMut(Record, &Row) -> Out,
{
    fn join(&mut self, record: Record, row: &Row) -> Out {
        self(record, row)
    }
}

/// [`Join`] by nothing: no type is like this.
#[derive(Debug)]
pub enum ByNothing {}

/// A type that there is none of.
pub trait Nothing {}

#[diagnostic::do_not_recommend]
impl<F: Nothing, Record, Row, Out> Join<Record, Row, Out, ByNothing> for F {
    fn join(&mut self, _: Record, _: &Row) -> Out {
        unreachable!("no type is `Nothing`")
    }
}

/// The type of a field that can be a column; asserted by `#[jdbc]` for every field.
pub fn assert_column<T: IntoValue>() {}

/// The type of a field that is read from a column; asserted by `#[derive(FromRow)]`.
pub fn assert_from_value<T: FromValue>() {}

/// The type of an `event_time` field; asserted by the connector attributes.
pub fn assert_event_time<T: EventTime>() {}

/// A type that event time can be read from.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event time",
    label = "`event_time` must name a field of type `Timestamp`, or of `i64` or `u64` in milliseconds since 1970",
    note = "declare the field as `flare::Timestamp`"
)]
pub trait EventTime {
    /// The moment.
    fn event_time(&self) -> Timestamp;
}

impl EventTime for Timestamp {
    fn event_time(&self) -> Timestamp {
        *self
    }
}

impl EventTime for i64 {
    fn event_time(&self) -> Timestamp {
        Timestamp::from_millis(*self)
    }
}

impl EventTime for u64 {
    fn event_time(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

/// Reads a row as part of the code that `#[derive(FromRow)]` emits.
///
/// # Errors
/// As [`crate::model::Row::get`].
pub fn column<T: FromValue>(row: &crate::model::Row, name: &str) -> Result<T> {
    row.get(name)
}
