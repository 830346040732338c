//! Rows of databases: values, columns, and how they become fields.

use std::fmt;
use std::sync::Arc;

use super::Timestamp;
use crate::error::{Error, ErrorKind, Result};

/// One value of a row, in the few kinds that databases agree on.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL `NULL`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// Text; also decimals, dates without a zone, UUIDs and JSON, in their usual spelling.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A date and time in UTC.
    Time(Timestamp),
}

impl Value {
    /// What the value is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::UInt(_) => "an integer",
            Self::Float(_) => "a floating-point number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Time(_) => "a time",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::UInt(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
            Self::Bytes(value) => write!(f, "{} bytes", value.len()),
            Self::Time(value) => value.fmt(f),
        }
    }
}

/// A row as a query gave it.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    /// A row whose `values` stand in the order of `columns`.
    pub fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        debug_assert_eq!(columns.len(), values.len());
        Self { columns, values }
    }

    /// The columns' names.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The values in the columns' order.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The value of the column called `name`, compared without regard to case, as `T`.
    ///
    /// # Errors
    /// `BadRecord` when there is no such column or its value is no `T`.
    pub fn get<T: FromValue>(&self, name: &str) -> Result<T> {
        let mut columns = self.columns.iter();
        let index = columns.position(|column| column.eq_ignore_ascii_case(name));
        let index = index.ok_or_else(|| {
            Error::bad_record("the query's result has no such column")
                .with("column", name)
                .with("columns", self.columns.join(", "))
        })?;
        T::from_value(&self.values[index]).map_err(|error| error.with("column", name))
    }
}

/// A struct that is read from a row; use `#[derive(FromRow)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a database row",
    label = "this row type needs `#[derive(FromRow)]`",
    note = "write `#[derive(FromRow)]` on `{Self}`, below its Flare attribute"
)]
pub trait FromRow: Sized {
    /// Reads the row.
    ///
    /// # Errors
    /// `BadRecord` naming the column that is missing or of another type.
    fn from_row(row: &Row) -> Result<Self>;
}

/// A type that is read from one value of a row.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type of a database column",
    label = "not a column type",
    note = "use an integer, f32, f64, bool, String, Vec<u8>, Timestamp, or an Option of these"
)]
pub trait FromValue: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// `BadRecord` when the value is of another kind or out of range.
    fn from_value(value: &Value) -> Result<Self>;
}

/// A type that is sent to a database: a key, a query's parameter, a column.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type of a database column",
    label = "not a column type",
    note = "use an integer, f32, f64, bool, String, &str, Vec<u8>, Timestamp, or an Option of these"
)]
pub trait IntoValue {
    /// The value to send.
    fn into_value(self) -> Value;
}

fn mismatch<T>(value: &Value) -> Error {
    Error::new(ErrorKind::BadRecord, "the column's value does not fit the field")
        .with("field type", std::any::type_name::<T>())
        .with("value", value.kind())
}

macro_rules! integers {
    ($($int:ty),*) => { $(
        impl FromValue for $int {
            fn from_value(value: &Value) -> Result<Self> {
                let read = match value {
                    Value::Int(int) => Self::try_from(*int).ok(),
                    Value::UInt(int) => Self::try_from(*int).ok(),
                    Value::Bool(flag) => Some(Self::from(*flag)),
                    Value::Text(text) => text.parse().ok(),
                    _ => None,
                };
                read.ok_or_else(|| mismatch::<Self>(value).with("text", value))
            }
        }
        impl IntoValue for $int {
            fn into_value(self) -> Value {
                match i64::try_from(self) {
                    Ok(int) => Value::Int(int),
                    Err(_) => Value::UInt(self as u64),
                }
            }
        }
        impl IntoValue for &$int {
            fn into_value(self) -> Value {
                (*self).into_value()
            }
        }
    )* };
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64, isize, usize);

macro_rules! values {
    ($($ty:ty: $($pattern:pat => $read:expr),+; $self:ident => $into:expr;)*) => { $(
        impl FromValue for $ty {
            fn from_value(value: &Value) -> Result<Self> {
                match value {
                    $($pattern => Ok($read),)+
                    _ => Err(mismatch::<Self>(value)),
                }
            }
        }
        impl IntoValue for $ty {
            fn into_value(self) -> Value {
                let $self = self;
                $into
            }
        }
        impl IntoValue for &$ty {
            fn into_value(self) -> Value {
                self.clone().into_value()
            }
        }
    )* };
}

values! {
    bool: Value::Bool(flag) => *flag, Value::Int(int) => *int != 0; this => Value::Bool(this);
    f64: Value::Float(float) => *float, Value::Int(int) => *int as Self; this => Value::Float(this);
    f32: Value::Float(float) => *float as Self, Value::Int(int) => *int as Self; this => Value::Float(this.into());
    String: Value::Text(text) => text.clone(); this => Value::Text(this);
    Vec<u8>: Value::Bytes(bytes) => bytes.clone(), Value::Text(text) => text.clone().into_bytes(); this => Value::Bytes(this);
    Timestamp: Value::Time(time) => *time, Value::Int(millis) => Self::from_millis(*millis),
        Value::Text(text) => parse_time(text)?;
        this => Value::Time(this);
}

/// Reads RFC 3339, or `2026-01-31 08:00:00[.123]` in UTC as databases write it.
fn parse_time(text: &str) -> Result<Timestamp> {
    let zoned = chrono::DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis());
    let plain = || {
        let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f");
        time.map(|time| time.and_utc().timestamp_millis())
    };
    let millis = zoned.or_else(|_| plain());
    let millis = millis.map_err(|_| Error::bad_record("the text is no time").with("text", text))?;
    Ok(Timestamp::from_millis(millis))
}

impl IntoValue for &str {
    fn into_value(self) -> Value {
        Value::Text(self.to_owned())
    }
}

impl IntoValue for Value {
    fn into_value(self) -> Value {
        self
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Result<Self> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl<T: IntoValue> IntoValue for Option<T> {
    fn into_value(self) -> Value {
        self.map_or(Value::Null, T::into_value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let columns = ["id", "name", "seen"].map(str::to_owned);
        let seen = Value::Text("2026-01-01 00:00:00".into());
        Row::new(columns.into(), vec![Value::Int(300), Value::Text("Ann".into()), seen])
    }

    #[test]
    fn reads_columns_whatever_their_case() {
        let row = row();
        assert_eq!(row.get::<u64>("ID").expect("an integer"), 300);
        assert_eq!(row.get::<Option<String>>("name").expect("text"), Some("Ann".into()));
        let seen: Timestamp = row.get("seen").expect("a time");
        assert_eq!(seen.to_string(), "2026-01-01T00:00:00.000Z");
    }

    #[test]
    fn names_the_column_that_does_not_fit() {
        let error = row().get::<u8>("id").expect_err("300 is no u8");
        assert_eq!(error.context("column"), Some("id"));
        let error = row().get::<u8>("level").expect_err("no such column");
        assert_eq!(error.context("columns"), Some("id, name, seen"));
    }
}
