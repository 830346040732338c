//! PostgreSQL: values to and from the wire, and what its errors mean.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use sqlx::encode::IsNull;
use sqlx::error::{BoxDynError, DatabaseError};
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgArguments, PgConnectOptions, PgConnection, PgRow, PgTypeInfo, PgTypeKind, PgValueRef,
    Postgres,
};
use sqlx::{Arguments as _, Decode, Encode, Type, TypeInfo as _};

use super::driver::{driver, server};
use super::fault::{ACCESS, COLUMN, DATABASE, Fault, Meaning, PERMISSION, SYNTAX, TABLE};
use super::fault::{undecodable, unknown_type, without_calendar};

use crate::error::{ErrorKind, Result};
use crate::model::{Timestamp, Value};

driver!(PgConnection, PgArguments);
server!(PgConnectOptions, PgRow);

/// `NULL` of the type that the server finds for its place.
struct Null;

impl Type<Postgres> for Null {
    fn type_info() -> PgTypeInfo {
        /// The number of PostgreSQL's pseudo-type `unknown`.
        const UNKNOWN: Oid = Oid(705);
        PgTypeInfo::with_oid(UNKNOWN)
    }
}

impl Encode<'_, Postgres> for Null {
    fn encode_by_ref(&self, _: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Ok(IsNull::Yes)
    }
}

/// Binds the types that [`Dialect::mark`](super::dialect::Dialect::mark) writes into the statement.
fn bind(arguments: &mut PgArguments, value: &Value) -> Result<(), Fault> {
    let bound = match value {
        Value::Null => arguments.add(Null),
        Value::Bool(flag) => arguments.add(*flag),
        Value::Int(int) => arguments.add(*int),
        Value::UInt(int) => arguments.add(int.to_string()),
        Value::Float(float) => arguments.add(*float),
        Value::Text(text) => arguments.add(text.as_str()),
        Value::Bytes(bytes) => arguments.add(bytes.as_slice()),
        Value::Time(time) => {
            let time: DateTime<Utc> = time.to_utc().ok_or_else(|| without_calendar(*time))?;
            arguments.add(time)
        }
    };
    bound.map_err(|error| Fault::Client(sqlx::Error::Encode(error)))
}

/// How a column's values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Text,
    Char,
    Jsonb,
    Bytes,
    Timestamp,
    TimestampTz,
    Date,
    Time,
    Uuid,
    Numeric,
    Unknown,
}

fn shape(info: &PgTypeInfo) -> Shape {
    match info.kind() {
        PgTypeKind::Enum(_) => return Shape::Text,
        PgTypeKind::Domain(base) => return shape(base),
        _ => {}
    }
    match info.name() {
        "BOOL" => Shape::Bool,
        "INT2" => Shape::Int2,
        "INT4" => Shape::Int4,
        "INT8" => Shape::Int8,
        "OID" => Shape::Oid,
        "FLOAT4" => Shape::Float4,
        "FLOAT8" => Shape::Float8,
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "UNKNOWN" | "JSON" | "XML" => Shape::Text,
        "\"CHAR\"" => Shape::Char,
        "JSONB" => Shape::Jsonb,
        "BYTEA" => Shape::Bytes,
        "TIMESTAMP" => Shape::Timestamp,
        "TIMESTAMPTZ" => Shape::TimestampTz,
        "DATE" => Shape::Date,
        "TIME" => Shape::Time,
        "UUID" => Shape::Uuid,
        "NUMERIC" => Shape::Numeric,
        name if name.eq_ignore_ascii_case("citext") => Shape::Text,
        _ => Shape::Unknown,
    }
}

fn is_known(info: &PgTypeInfo) -> bool {
    // An untyped NULL has no values to read.
    info.name() == "VOID" || shape(info) != Shape::Unknown
}

fn read_value(raw: PgValueRef<'_>, shape: Shape) -> Result<Value, BoxDynError> {
    Ok(match shape {
        Shape::Bool => Value::Bool(<bool as Decode<Postgres>>::decode(raw)?),
        Shape::Int2 => Value::Int(<i16 as Decode<Postgres>>::decode(raw)?.into()),
        Shape::Int4 => Value::Int(<i32 as Decode<Postgres>>::decode(raw)?.into()),
        Shape::Int8 => Value::Int(<i64 as Decode<Postgres>>::decode(raw)?),
        Shape::Oid => Value::Int(<Oid as Decode<Postgres>>::decode(raw)?.0.into()),
        Shape::Float4 => Value::Float(<f32 as Decode<Postgres>>::decode(raw)?.into()),
        Shape::Float8 => Value::Float(<f64 as Decode<Postgres>>::decode(raw)?),
        Shape::Text => Value::Text(raw.as_str()?.to_owned()),
        Shape::Char => Value::Text(raw.as_bytes()?.iter().map(|byte| char::from(*byte)).collect()),
        Shape::Jsonb => {
            // One byte of version stands before the text.
            let bytes = raw.as_bytes()?;
            Value::Text(std::str::from_utf8(bytes.get(1..).unwrap_or_default())?.to_owned())
        }
        Shape::Bytes => Value::Bytes(raw.as_bytes()?.to_vec()),
        Shape::Timestamp => {
            let time = <NaiveDateTime as Decode<Postgres>>::decode(raw)?;
            Value::Time(Timestamp::from_millis(time.and_utc().timestamp_millis()))
        }
        Shape::TimestampTz => {
            let time = <DateTime<Utc> as Decode<Postgres>>::decode(raw)?;
            Value::Time(Timestamp::from_millis(time.timestamp_millis()))
        }
        Shape::Date => Value::Text(<NaiveDate as Decode<Postgres>>::decode(raw)?.to_string()),
        Shape::Time => Value::Text(<NaiveTime as Decode<Postgres>>::decode(raw)?.to_string()),
        Shape::Uuid => Value::Text(uuid(raw.as_bytes()?)),
        Shape::Numeric => Value::Text(numeric(raw.as_bytes()?).ok_or("the number is cut off")?),
        Shape::Unknown => Value::Null,
    })
}

fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A `numeric` on the wire: count of digits to base 10,000, weight of the first, sign, decimal places, digits.
fn numeric(bytes: &[u8]) -> Option<String> {
    let field = |index: usize| Some(u16::from_be_bytes([*bytes.get(2 * index)?, *bytes.get(2 * index + 1)?]));
    let count = usize::from(field(0)?);
    let weight = i64::from(field(1)?.cast_signed());
    let places = usize::from(field(3)?);
    let sign = match field(2)? {
        0x4000 => "-",
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => "",
    };
    let digits: Option<Vec<u16>> = (0..count).map(|index| field(4 + index)).collect();
    let digits = digits?;
    let digit = |power: i64| {
        let index = usize::try_from(weight - power).ok();
        index.and_then(|index| digits.get(index)).copied().unwrap_or(0)
    };
    let mut text = sign.to_owned();
    let _ = write!(text, "{}", digit(weight.max(0)));
    for power in (0..weight.max(0)).rev() {
        let _ = write!(text, "{:04}", digit(power));
    }
    if places > 0 {
        let mut fraction = String::new();
        for group in 1..=places.div_ceil(4) {
            let _ = write!(fraction, "{:04}", digit(-i64::try_from(group).ok()?));
        }
        let _ = write!(text, ".{}", &fraction[..places]);
    }
    Some(text)
}

pub(super) fn meaning(error: &dyn DatabaseError) -> Meaning {
    let code = error.code().unwrap_or_default();
    match code.as_ref() {
        "57014" => Meaning::new(ErrorKind::Timeout, ""),
        "55P03" | "25006" => Meaning::new(ErrorKind::Unavailable, ""),
        // Two rows of one statement have one key in the database's eyes: alone, each of them can be written.
        "21000" | "44000" | "P0001" => Meaning::new(ErrorKind::BadRecord, ""),
        "3D000" => Meaning::new(ErrorKind::Failed, DATABASE),
        "42P01" | "3F000" => Meaning::new(ErrorKind::Failed, TABLE),
        "42703" => Meaning::new(ErrorKind::Failed, COLUMN),
        "42501" => Meaning::new(ErrorKind::Failed, PERMISSION),
        "42804" | "42883" => {
            let remedy =
                "a parameter has another type than the column; write a cast behind it, such as `:id::uuid`";
            Meaning::new(ErrorKind::Failed, remedy)
        }
        code => match code.get(..2) {
            Some("22" | "23") => Meaning::new(ErrorKind::BadRecord, ""),
            Some("08" | "40" | "53" | "57") => Meaning::new(ErrorKind::Unavailable, ""),
            Some("28") => Meaning::new(ErrorKind::Failed, ACCESS),
            Some("42") => Meaning::new(ErrorKind::Failed, SYNTAX),
            _ => Meaning::new(ErrorKind::Failed, ""),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(weight: i16, sign: u16, places: u16, digits: &[u16]) -> Vec<u8> {
        let count = u16::try_from(digits.len()).expect("few digits");
        let head = [count, weight.cast_unsigned(), sign, places];
        head.iter().chain(digits).flat_map(|field| field.to_be_bytes()).collect()
    }

    #[test]
    fn writes_numbers_as_people_do() {
        let text = |weight, sign, places, digits: &[u16]| numeric(&wire(weight, sign, places, digits));
        assert_eq!(text(0, 0, 0, &[7]).as_deref(), Some("7"));
        assert_eq!(text(0, 0, 0, &[]).as_deref(), Some("0"));
        assert_eq!(text(1, 0x4000, 2, &[12, 3400, 5000]).as_deref(), Some("-123400.50"));
        assert_eq!(text(-1, 0, 3, &[50]).as_deref(), Some("0.005"));
        assert_eq!(text(-2, 0, 6, &[1200]).as_deref(), Some("0.000012"));
        assert_eq!(text(2, 0, 0, &[1]).as_deref(), Some("100000000"));
        assert_eq!(text(0, 0xC000, 0, &[]).as_deref(), Some("NaN"));
        assert_eq!(numeric(&[0, 1, 0]), None);
    }
}
