//! A record from one CSV line, by position.

use std::fmt;
use std::marker::PhantomData;

use csv::{ByteRecord, DeserializeError};
use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::{Error, Result};
use crate::model::RowSchema;

/// Reads a record from a line that holds it and nothing else; `schema` names the fields in errors.
pub(super) fn decode<T: DeserializeOwned>(line: &[u8], schema: &RowSchema) -> Result<T> {
    let invalid = || Error::bad_record("the payload is no valid CSV line of this record");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line);
    let mut fields = ByteRecord::new();
    let mut next =
        |into: &mut ByteRecord| reader.read_byte_record(into).map_err(|error| invalid().caused_by(error));
    if !next(&mut fields)? {
        return Err(invalid().with("payload", "empty"));
    }
    if next(&mut ByteRecord::new())? {
        return Err(invalid().caused_by("it holds more than one line"));
    }
    match fields.deserialize(None) {
        Ok(Line { record, surplus: 0 }) => Ok(record),
        Ok(Line { surplus, .. }) => {
            let cause =
                format!("it has {} fields, of which {} are wanted", fields.len(), fields.len() - surplus);
            Err(invalid().caused_by(cause))
        }
        Err(error) => Err(refused::<T>(invalid(), &fields, &error, schema)),
    }
}

/// The error of a field, with the field's number and, where each field is a column, its name.
#[cold]
fn refused<T: DeserializeOwned>(
    invalid: Error,
    fields: &ByteRecord,
    error: &csv::Error,
    schema: &RowSchema,
) -> Error {
    // What the whole error says besides is a position in the file, which it does not know.
    let csv::ErrorKind::Deserialize { err, .. } = error.kind() else {
        return invalid.caused_by(error.to_string());
    };
    let cause = err.kind().to_string();
    let number =
        err.field().and_then(|field| usize::try_from(field).ok()).or_else(|| find::<T>(fields, &cause));
    let name = |field: usize| schema.columns.get(field).filter(|_| schema.columns.len() == fields.len());
    let invalid = match (number, number.and_then(name)) {
        (Some(field), Some(column)) => invalid.with("field", format!("{} `{}`", field + 1, column.field)),
        (Some(field), None) => invalid.with("field", field + 1),
        (None, _) => invalid.with("fields", fields.len()),
    };
    invalid.caused_by(cause)
}

/// The field that a type of the user's refused, which says its cause only: without the field the cause is another.
fn find<T: DeserializeOwned>(fields: &ByteRecord, cause: &str) -> Option<usize> {
    let fails_by = |error: &DeserializeError| error.kind().to_string() == cause;
    (0..fields.len()).find(|last| {
        let part: ByteRecord = fields.iter().take(last + 1).collect();
        let read: Result<Line<T>, csv::Error> = part.deserialize(None);
        matches!(read.map_err(csv::Error::into_kind), Err(csv::ErrorKind::Deserialize { err, .. }) if fails_by(&err))
    })
}

/// A record, and how many fields are left behind it.
struct Line<T> {
    record: T,
    surplus: usize,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Line<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(LineVisitor(PhantomData))
    }
}

struct LineVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for LineVisitor<T> {
    type Value = Line<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Line<T>, A::Error> {
        let record = fields.next_element()?.ok_or_else(|| serde::de::Error::invalid_length(0, &self))?;
        let mut surplus = 0;
        while fields.next_element::<IgnoredAny>()?.is_some() {
            surplus += 1;
        }
        Ok(Line { record, surplus })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Timestamp};

    #[derive(Debug, PartialEq, Deserialize)]
    struct Order {
        id: u64,
        note: Option<String>,
        paid_at: Timestamp,
    }

    const fn column(name: &'static str) -> Column {
        Column { field: name, name, key: false }
    }

    const SCHEMA: RowSchema = RowSchema { columns: &[column("id"), column("note"), column("paid_at")] };

    fn refused(line: &str) -> String {
        decode::<Order>(line.as_bytes(), &SCHEMA).expect_err("it is refused").report()
    }

    #[test]
    fn reads_fields_by_position() {
        let order: Order = decode(b"7,,1000", &SCHEMA).expect("a line");
        assert_eq!(order, Order { id: 7, note: None, paid_at: Timestamp::from_millis(1000) });
        let pair: ((u8, u8), u8) = decode(b"1,2,3", &RowSchema { columns: &[] }).expect("a line");
        assert_eq!(pair, ((1, 2), 3));
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        assert!(refused("x,a,1").contains("1 `id`"), "{}", refused("x,a,1"));
        assert!(refused("1,a,noon").contains("3 `paid_at`"), "{}", refused("1,a,noon"));
        assert!(!refused("1,a,noon").contains("line: 1"), "{}", refused("1,a,noon"));
    }

    #[test]
    fn refuses_a_line_with_more_or_less_than_the_record() {
        assert!(refused("1,a,1000,4,5").contains("it has 5 fields, of which 3 are wanted"));
        assert!(refused("1,a").contains("invalid length 2"), "{}", refused("1,a"));
        assert!(refused("1,a,1000\n2,b,2000").contains("more than one line"));
        assert!(refused("").contains("empty"));
    }
}
