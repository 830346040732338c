//! What went wrong in a database, and what it means for a record.

use sqlx::error::DatabaseError;

use super::dialect::Dialect;
#[cfg(feature = "mysql")]
use super::mysql;
#[cfg(feature = "postgres")]
use super::postgres;
#[cfg(feature = "sqlite")]
use super::sqlite;
use crate::error::{BoxError, Error, ErrorKind};
use crate::model::Timestamp;

/// An error of the database or the way to it, or one of our own.
#[derive(Debug)]
pub(super) enum Fault {
    /// The client library's.
    Client(sqlx::Error),
    /// Ours, with the connection unharmed.
    Own(Error),
}

const BROKEN: &str = "the database cannot be reached, or the connection to it broke";

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Client(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

/// What a database's error means, and what to do about it; an empty remedy when its own words say enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) kind: ErrorKind,
    pub(super) remedy: &'static str,
}

impl Meaning {
    pub(super) const fn new(kind: ErrorKind, remedy: &'static str) -> Self {
        Self { kind, remedy }
    }
}

#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) const ACCESS: &str = "check `username` and `password` of the datasource";
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) const PERMISSION: &str = "grant the datasource's user what the statement needs";
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) const DATABASE: &str = "check the database's name in the datasource's `url`";
pub(super) const TABLE: &str = "create the table, or correct its name";
pub(super) const COLUMN: &str = "add the column, or correct its name";
pub(super) const SYNTAX: &str = "correct the SQL statement";

impl Fault {
    /// Whether the connection must not be used again.
    pub(super) fn is_connection_lost(&self) -> bool {
        match self {
            Self::Own(_) => false,
            Self::Client(sqlx::Error::Database(error)) => {
                // PostgreSQL says these before it closes the connection.
                error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
            }
            Self::Client(sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. }) => false,
            Self::Client(_) => true,
        }
    }

    /// As an error of Flare.
    pub(super) fn into_error(self, dialect: Dialect) -> Error {
        let error = match self {
            Self::Own(error) => return error,
            Self::Client(error) => error,
        };
        let (meaning, message) = match &error {
            sqlx::Error::Database(error) => database(error.as_ref(), dialect),
            sqlx::Error::Io(_) => (Meaning::new(ErrorKind::Unavailable, ""), BROKEN),
            // So sqlx tells of a server of PostgreSQL that accepts a connection and closes it.
            sqlx::Error::Protocol(message) if message.contains("SSLRequest: 0x00") => {
                (Meaning::new(ErrorKind::Unavailable, ""), BROKEN)
            }
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                (Meaning::new(ErrorKind::Unavailable, ""), "the connection to the database broke")
            }
            sqlx::Error::Tls(_) => (
                Meaning::new(ErrorKind::Failed, "check the TLS parameters of the datasource's `url`"),
                "the secure connection to the database could not be made",
            ),
            sqlx::Error::Encode(_) => {
                (Meaning::new(ErrorKind::BadRecord, ""), "a value cannot be sent to the database")
            }
            sqlx::Error::Configuration(_) => (
                Meaning::new(ErrorKind::Config, "correct the datasource's `url`"),
                "the datasource's `url` cannot be used",
            ),
            _ => (Meaning::new(ErrorKind::Failed, ""), "the database's client library failed"),
        };
        let mut made = Error::new(meaning.kind, message);
        if !meaning.remedy.is_empty() {
            made = made.with_remedy(meaning.remedy);
        }
        made.caused_by(error)
    }
}

fn database(error: &dyn DatabaseError, dialect: Dialect) -> (Meaning, &'static str) {
    let meaning = match dialect {
        #[cfg(feature = "mysql")]
        Dialect::MySql => mysql::meaning(error),
        #[cfg(feature = "postgres")]
        Dialect::Postgres => postgres::meaning(error),
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => sqlite::meaning(error),
        #[allow(unreachable_patterns, reason = "dialects whose feature is off")]
        _ => {
            let _ = error;
            Meaning::new(ErrorKind::Failed, "")
        }
    };
    let message = match meaning.kind {
        ErrorKind::BadRecord => "the database refused a value",
        ErrorKind::Unavailable => "the database asks to be tried again",
        ErrorKind::Timeout => "the database stopped the statement, which took too long",
        _ => "the database refused the statement",
    };
    (meaning, message)
}

/// A value of a column that could not be read.
pub(super) fn undecodable(column: &str, error: impl Into<BoxError>) -> Error {
    Error::bad_record("a value of the query's result cannot be read").with("column", column).caused_by(error)
}

/// A column of a type that has no [`Value`](crate::model::Value).
#[allow(dead_code, reason = "SQLite has no such types")]
pub(super) fn unknown_type(column: &str, ty: &str) -> Error {
    Error::new(ErrorKind::Failed, "a column of the query's result has a type that cannot be read")
        .with("column", column)
        .with("type", ty)
        .with_remedy(format!("read it as text: CAST({column} AS …) or {column}::text"))
}

/// A moment that no calendar date can be given for.
#[allow(dead_code, reason = "a build without any dialect binds nothing")]
pub(super) fn without_calendar(time: Timestamp) -> Error {
    Error::bad_record("the time is outside the calendar").with("milliseconds", time.as_millis())
}
