//! SQLite: values to and from the file, and what its errors mean.

use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::error::DatabaseError;
use sqlx::sqlite::{
    Sqlite, SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow,
    SqliteTypeInfo, SqliteValueRef,
};
use sqlx::{Arguments as _, Column as _, Decode, Row as _, TypeInfo as _, ValueRef as _};

use super::config::DatasourceSettings;
use super::driver::driver;
use super::fault::{COLUMN, Fault, Meaning, SYNTAX, TABLE, undecodable, without_calendar};

use crate::api::Backoff;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{FromValue as _, Row, Timestamp, Value};

driver!(SqliteConnection, SqliteArguments);

/// The client's options for a datasource; relative paths start at `base`.
pub(super) fn options(
    settings: &DatasourceSettings,
    base: &Path,
) -> Result<SqliteConnectOptions, sqlx::Error> {
    let url = settings.url.expose();
    if url.contains(":memory:") || url.contains("mode=memory") {
        // Such a database ends with its connection, and is another one for each.
        return Err(sqlx::Error::Configuration("use a file".into()));
    }
    let options: SqliteConnectOptions = url.parse()?;
    let path = base.join(options.get_filename());
    let options = options.filename(path).busy_timeout(settings.connect_timeout).disable_statement_logging();
    Ok(match url.contains("mode=ro") || url.contains("immutable=") {
        true => options,
        false => options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal),
    })
}

/// Opens the file; its folder is made.
///
/// While another process makes the file or turns on its write-ahead log, SQLite fails at once, whatever the busy
/// timeout is. So it is tried again; how long is the caller's business.
pub(super) async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    if let Some(folder) = options.get_filename().parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));
    let mut attempt = 1;
    loop {
        match options.connect().await {
            Err(sqlx::Error::Database(error)) if primary_code(error.as_ref()) == BUSY => {
                tokio::time::sleep(backoff.pause(attempt)).await;
                attempt += 1;
            }
            done => return done,
        }
    }
}

fn bind(arguments: &mut SqliteArguments, value: &Value) -> Result<(), Fault> {
    let bound = match value {
        Value::Null => arguments.add(None::<i64>),
        Value::Bool(flag) => arguments.add(*flag),
        Value::Int(int) => arguments.add(*int),
        Value::UInt(int) => {
            let error = Error::bad_record("SQLite's integers end at 9223372036854775807");
            return Err(error.with("value", int).into());
        }
        Value::Float(float) => arguments.add(*float),
        Value::Text(text) => arguments.add(text.clone()),
        Value::Bytes(bytes) => arguments.add(bytes.clone()),
        Value::Time(time) => {
            // As SQLite's own functions write it, so that texts compare as times do.
            let utc = time.to_utc().ok_or_else(|| without_calendar(*time))?;
            arguments.add(utc.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
        }
    };
    bound.map_err(|error| Fault::Client(sqlx::Error::Encode(error)))
}

/// A column may hold values of any type; all of them are known.
fn is_known(_info: &SqliteTypeInfo) -> bool {
    true
}

fn decode(rows: &[SqliteRow]) -> Result<Vec<Row>> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let columns = names(first);
    let declared: Vec<String> =
        first.columns().iter().map(|column| column.type_info().name().to_owned()).collect();
    let read = |row: &SqliteRow| {
        let values = declared.iter().enumerate().map(|(index, declared)| {
            let raw = row.try_get_raw(index).map_err(|error| undecodable(&columns[index], error))?;
            read_value(raw, declared).map_err(|error| undecodable(&columns[index], error))
        });
        Ok(Row::new(columns.clone(), values.collect::<Result<_>>()?))
    };
    rows.iter().map(read).collect()
}

/// Reads a value as it is stored; the declared type only says what an integer or a text stands for.
fn read_value(raw: SqliteValueRef<'_>, declared: &str) -> Result<Value, sqlx::error::BoxDynError> {
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let stored = raw.type_info().name().to_owned();
    Ok(match stored.as_str() {
        "INTEGER" | "BOOLEAN" => {
            let int = <i64 as Decode<Sqlite>>::decode(raw)?;
            let is_flag = declared == "BOOLEAN" && (0..=1).contains(&int);
            if is_flag { Value::Bool(int == 1) } else { Value::Int(int) }
        }
        "REAL" => Value::Float(<f64 as Decode<Sqlite>>::decode(raw)?),
        "BLOB" => Value::Bytes(<Vec<u8> as Decode<Sqlite>>::decode(raw)?),
        _ => {
            let text = Value::Text(<String as Decode<Sqlite>>::decode(raw)?);
            let time = if declared == "DATETIME" { Timestamp::from_value(&text).ok() } else { None };
            time.map_or(text, Value::Time)
        }
    })
}

const BUSY: i32 = 5;

/// The code without the details in its higher bytes.
fn primary_code(error: &dyn DatabaseError) -> i32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or(1) & 0xff
}

pub(super) fn meaning(error: &dyn DatabaseError) -> Meaning {
    let message = error.message();
    match primary_code(error) {
        // Busy, locked, interrupted, disk full, protocol of the write-ahead log.
        BUSY | 6 | 9 | 13 | 15 | 17 => Meaning::new(ErrorKind::Unavailable, ""),
        // Too big, constraint, type mismatch.
        18..=20 => Meaning::new(ErrorKind::BadRecord, ""),
        3 | 8 | 14 => {
            Meaning::new(ErrorKind::Failed, "check the path in the datasource's `url` and its permissions")
        }
        11 | 26 => Meaning::new(ErrorKind::Failed, "the file is damaged or no SQLite database"),
        1 if message.contains("no such table") => Meaning::new(ErrorKind::Failed, TABLE),
        1 if message.contains("column") => Meaning::new(ErrorKind::Failed, COLUMN),
        1 => Meaning::new(ErrorKind::Failed, SYNTAX),
        _ => Meaning::new(ErrorKind::Failed, ""),
    }
}
