//! MySQL and MariaDB: values to and from the wire, and what their errors mean.

use chrono::{NaiveDate, NaiveDateTime};
use sqlx::error::DatabaseError;
use sqlx::mysql::types::{MySqlTime, MySqlTimeSign};
use sqlx::mysql::{
    MySql, MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlRow, MySqlTypeInfo,
    MySqlValueRef,
};
use sqlx::{Arguments as _, Decode, Type, TypeInfo as _};

use super::driver::{driver, server};
use super::fault::{ACCESS, COLUMN, DATABASE, Fault, Meaning, PERMISSION, SYNTAX, TABLE};
use super::fault::{undecodable, unknown_type, without_calendar};

use crate::error::{ErrorKind, Result};
use crate::model::{Timestamp, Value};

driver!(MySqlConnection, MySqlArguments);
server!(MySqlConnectOptions, MySqlRow);

fn bind(arguments: &mut MySqlArguments, value: &Value) -> Result<(), Fault> {
    let bound = match value {
        Value::Null => arguments.add(None::<i64>),
        Value::Bool(flag) => arguments.add(*flag),
        Value::Int(int) => arguments.add(*int),
        Value::UInt(int) => arguments.add(*int),
        Value::Float(float) => arguments.add(*float),
        Value::Text(text) => arguments.add(text.as_str()),
        Value::Bytes(bytes) => arguments.add(bytes.as_slice()),
        Value::Time(time) => {
            let time = time.to_utc().ok_or_else(|| without_calendar(*time))?;
            arguments.add(time.naive_utc())
        }
    };
    bound.map_err(|error| Fault::Client(sqlx::Error::Encode(error)))
}

/// How a column's values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Int,
    UInt,
    Float,
    Text,
    Bytes,
    Moment,
    Date,
    Time,
    /// `NULL` itself.
    Null,
    Unknown,
}

fn shape(info: &MySqlTypeInfo) -> Shape {
    match info.name() {
        // TINYINT(1) may hold more than 0 and 1; booleans are read from integers as well.
        "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => Shape::Int,
        "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED"
        | "BIGINT UNSIGNED" | "YEAR" | "BIT" => Shape::UInt,
        "FLOAT" | "DOUBLE" => Shape::Float,
        "DECIMAL" | "JSON" | "ENUM" | "SET" => Shape::Text,
        "DATETIME" | "TIMESTAMP" => Shape::Moment,
        "DATE" => Shape::Date,
        "TIME" => Shape::Time,
        "NULL" => Shape::Null,
        "GEOMETRY" => Shape::Unknown,
        _ if <str as Type<MySql>>::compatible(info) => Shape::Text,
        _ => Shape::Bytes,
    }
}

fn is_known(info: &MySqlTypeInfo) -> bool {
    shape(info) != Shape::Unknown
}

fn read_value(raw: MySqlValueRef<'_>, shape: Shape) -> Result<Value, sqlx::error::BoxDynError> {
    Ok(match shape {
        Shape::Int => Value::Int(<i64 as Decode<MySql>>::decode(raw)?),
        Shape::UInt => {
            let int = <u64 as Decode<MySql>>::decode(raw)?;
            i64::try_from(int).map_or(Value::UInt(int), Value::Int)
        }
        Shape::Float => Value::Float(<f64 as Decode<MySql>>::decode(raw)?),
        Shape::Text => Value::Text(<String as Decode<MySql>>::decode(raw)?),
        Shape::Bytes => Value::Bytes(<Vec<u8> as Decode<MySql>>::decode(raw)?),
        Shape::Moment => {
            let time = <NaiveDateTime as Decode<MySql>>::decode(raw)?;
            Value::Time(Timestamp::from_millis(time.and_utc().timestamp_millis()))
        }
        Shape::Date => Value::Text(<NaiveDate as Decode<MySql>>::decode(raw)?.to_string()),
        Shape::Time => Value::Text(time_of_day(&<MySqlTime as Decode<MySql>>::decode(raw)?)),
        Shape::Null | Shape::Unknown => Value::Null,
    })
}

/// As the server writes it: `-08:30:01.5`.
fn time_of_day(time: &MySqlTime) -> String {
    let sign = if time.sign() == MySqlTimeSign::Negative { "-" } else { "" };
    let fraction = match time.microseconds() {
        0 => String::new(),
        micros => format!(".{micros:06}").trim_end_matches('0').to_owned(),
    };
    format!("{sign}{:02}:{:02}:{:02}{fraction}", time.hours(), time.minutes(), time.seconds())
}

pub(super) fn meaning(error: &dyn DatabaseError) -> Meaning {
    let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() else {
        return Meaning::new(ErrorKind::Failed, "");
    };
    let state = error.code().unwrap_or_default();
    match error.number() {
        // Deadlock, lock wait, too many connections, shutdown, broken connection, read-only after a failover, killed.
        1205
        | 1213
        | 1040
        | 1203
        | 1226
        | 1053
        | 1152
        | 1158..=1161
        | 1184
        | 1290
        | 1792
        | 1836
        | 1317
        | 1927 => Meaning::new(ErrorKind::Unavailable, ""),
        1969 | 3024 => Meaning::new(ErrorKind::Timeout, ""),
        1044 | 1045 | 1698 => Meaning::new(ErrorKind::Failed, ACCESS),
        1142 | 1143 | 1227 | 1370 => Meaning::new(ErrorKind::Failed, PERMISSION),
        1049 => Meaning::new(ErrorKind::Failed, DATABASE),
        1146 => Meaning::new(ErrorKind::Failed, TABLE),
        1054 => Meaning::new(ErrorKind::Failed, COLUMN),
        1064 | 1149 => Meaning::new(ErrorKind::Failed, SYNTAX),
        // Null, no default, truncated or invalid value, row or packet too large, invalid JSON, a trigger's SIGNAL.
        1048 | 1364 | 1118 | 1153 | 1263 | 1265 | 1292 | 1365 | 1366 | 1367 | 1406 | 1411 | 1416 | 1644
        | 1690 | 3140 | 3819 => Meaning::new(ErrorKind::BadRecord, ""),
        _ if state.starts_with("22") || state.starts_with("23") => Meaning::new(ErrorKind::BadRecord, ""),
        _ if state.starts_with("08") || state.starts_with("40") => Meaning::new(ErrorKind::Unavailable, ""),
        _ => Meaning::new(ErrorKind::Failed, ""),
    }
}
