//! One connection of any dialect, and what is done with it.

use std::path::Path;

#[cfg(any(feature = "mysql", feature = "postgres"))]
use sqlx::ConnectOptions as _;

use super::config::DatasourceSettings;
use super::dialect::Dialect;
use super::fault::Fault;
#[cfg(feature = "mysql")]
use super::mysql;
#[cfg(feature = "postgres")]
use super::postgres;
#[cfg(feature = "sqlite")]
use super::sqlite;
use crate::error::{Error, ErrorKind};
use crate::model::{Row, Value};

/// How to connect.
#[derive(Clone)]
pub(super) enum Target {
    #[cfg(feature = "mysql")]
    MySql(Box<sqlx::mysql::MySqlConnectOptions>),
    #[cfg(feature = "postgres")]
    Postgres(Box<sqlx::postgres::PgConnectOptions>),
    #[cfg(feature = "sqlite")]
    Sqlite(Box<sqlx::sqlite::SqliteConnectOptions>),
}

/// A connection.
pub(super) enum Connection {
    #[cfg(feature = "mysql")]
    MySql(sqlx::mysql::MySqlConnection),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgConnection),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::sqlite::SqliteConnection),
}

impl Connection {
    /// Says goodbye; SQLite then moves its write-ahead log into the file.
    pub(super) async fn close(self) {
        use sqlx::Connection as _;
        let closed: Result<(), sqlx::Error> = match self {
            #[cfg(feature = "mysql")]
            Self::MySql(connection) => connection.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(connection) => connection.close().await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => connection.close().await,
        };
        if let Err(error) = closed {
            tracing::debug!("a connection did not close well: {error}");
        }
    }
}

/// A column of a query's result.
#[derive(Clone, Debug)]
pub(super) struct ResultColumn {
    /// Its name.
    pub(super) name: String,
    /// Its type as the database calls it.
    pub(super) ty: String,
    /// Whether values of this type can be read.
    pub(super) is_known: bool,
}

/// Whether the database prepares the statement once and keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prepare {
    /// It will come again.
    Keep,
    /// Its text may never come again.
    Once,
}

/// The dialect's module and its connection; a build without any dialect has no values to match.
macro_rules! each {
    ($on:expr, $backend:ident, $connection:ident => $body:expr) => {
        match *$on {
            #[cfg(feature = "mysql")]
            Connection::MySql(ref mut $connection) => {
                use mysql as $backend;
                $body
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(ref mut $connection) => {
                use postgres as $backend;
                $body
            }
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(ref mut $connection) => {
                use sqlite as $backend;
                $body
            }
        }
    };
}

impl Target {
    /// How to connect to a datasource; relative paths start at `base`.
    ///
    /// # Errors
    /// `Config` when the url cannot be read; `Unsupported` when this build lacks the database's feature.
    #[allow(unused_variables, reason = "only files have paths")]
    pub(super) fn open(settings: &DatasourceSettings, base: &Path) -> Result<Self, Error> {
        let opened = match settings.url.dialect() {
            #[cfg(feature = "mysql")]
            Some(Dialect::MySql) => mysql::options(settings).map(|options| Self::MySql(Box::new(options))),
            #[cfg(feature = "postgres")]
            Some(Dialect::Postgres) => {
                postgres::options(settings).map(|options| Self::Postgres(Box::new(options)))
            }
            #[cfg(feature = "sqlite")]
            Some(Dialect::Sqlite) => {
                sqlite::options(settings, base).map(|options| Self::Sqlite(Box::new(options)))
            }
            #[allow(unreachable_patterns, reason = "dialects whose feature is off")]
            Some(dialect) => {
                let message = "this build lacks the database of the datasource's `url`";
                let remedy = format!("switch on the feature `{}`", dialect.name());
                return Err(Error::new(ErrorKind::Unsupported, message).with_remedy(remedy));
            }
            None => Err(sqlx::Error::PoolClosed),
        };
        // The client's message is left out, for it could quote the url.
        opened.map_err(|_| Error::new(ErrorKind::Config, "the url cannot be read").with("url", &settings.url))
    }

    pub(super) fn dialect(&self) -> Dialect {
        match *self {
            #[cfg(feature = "mysql")]
            Self::MySql(_) => Dialect::MySql,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Dialect::Postgres,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<Connection, sqlx::Error> {
        match *self {
            #[cfg(feature = "mysql")]
            Self::MySql(ref options) => options.connect().await.map(Connection::MySql),
            #[cfg(feature = "postgres")]
            Self::Postgres(ref options) => options.connect().await.map(Connection::Postgres),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(ref options) => sqlite::connect(options).await.map(Connection::Sqlite),
        }
    }
}

impl Connection {
    /// The rows of a query.
    pub(super) async fn query(
        &mut self,
        sql: String,
        params: &[Value],
        prepare: Prepare,
    ) -> Result<Vec<Row>, Fault> {
        each!(self, backend, connection => backend::query(connection, sql, params, prepare).await)
    }

    /// How many rows a statement concerned.
    pub(super) async fn execute(
        &mut self,
        sql: String,
        params: &[Value],
        prepare: Prepare,
    ) -> Result<u64, Fault> {
        each!(self, backend, connection => backend::execute(connection, sql, params, prepare).await)
    }

    /// Runs statements without parameters, as they are.
    pub(super) async fn script(&mut self, sql: String) -> Result<(), Fault> {
        each!(self, backend, connection => backend::script(connection, sql).await)
    }

    /// The columns that a query would give.
    pub(super) async fn columns(&mut self, sql: String) -> Result<Vec<ResultColumn>, Fault> {
        each!(self, backend, connection => backend::columns(connection, sql).await)
    }

    /// Whether the other side still answers.
    pub(super) async fn is_alive(&mut self) -> bool {
        each!(self, backend, connection => backend::is_alive(connection).await)
    }
}

/// What every dialect's module does in the same way with its own types.
macro_rules! driver {
    ($connection:ty, $arguments:ty) => {
        fn bind_all(params: &[crate::model::Value]) -> Result<$arguments, super::fault::Fault> {
            let mut arguments = <$arguments>::default();
            for value in params {
                bind(&mut arguments, value)?;
            }
            Ok(arguments)
        }

        pub(super) async fn query(
            connection: &mut $connection,
            sql: String,
            params: &[crate::model::Value],
            prepare: super::driver::Prepare,
        ) -> Result<Vec<crate::model::Row>, super::fault::Fault> {
            let arguments = bind_all(params)?;
            let query = sqlx::query_with(sqlx::AssertSqlSafe(sql), arguments);
            let query = query.persistent(prepare == super::driver::Prepare::Keep);
            Ok(decode(&query.fetch_all(connection).await?)?)
        }

        pub(super) async fn execute(
            connection: &mut $connection,
            sql: String,
            params: &[crate::model::Value],
            prepare: super::driver::Prepare,
        ) -> Result<u64, super::fault::Fault> {
            let arguments = bind_all(params)?;
            let query = sqlx::query_with(sqlx::AssertSqlSafe(sql), arguments);
            let query = query.persistent(prepare == super::driver::Prepare::Keep);
            Ok(query.execute(connection).await?.rows_affected())
        }

        pub(super) async fn script(
            connection: &mut $connection,
            sql: String,
        ) -> Result<(), super::fault::Fault> {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await?;
            Ok(())
        }

        pub(super) async fn columns(
            connection: &mut $connection,
            sql: String,
        ) -> Result<Vec<super::driver::ResultColumn>, super::fault::Fault> {
            use sqlx::{Column as _, Executor as _, Statement as _, TypeInfo as _};
            let sql = sqlx::SqlSafeStr::into_sql_str(sqlx::AssertSqlSafe(sql));
            let statement = connection.prepare(sql).await?;
            let columns = statement.columns().iter().map(|column| super::driver::ResultColumn {
                name: column.name().to_owned(),
                ty: column.type_info().name().to_owned(),
                is_known: is_known(column.type_info()),
            });
            Ok(columns.collect())
        }

        pub(super) async fn is_alive(connection: &mut $connection) -> bool {
            sqlx::Connection::ping(connection).await.is_ok()
        }

        /// The names of a result's columns.
        fn names<R: sqlx::Row>(row: &R) -> std::sync::Arc<[String]> {
            use sqlx::Column as _;
            row.columns().iter().map(|column| column.name().to_owned()).collect()
        }
    };
}
pub(super) use driver;

/// What the modules of databases with servers do alike: they read columns by `Shape`.
#[cfg(any(feature = "mysql", feature = "postgres"))]
macro_rules! server {
    ($options:ty, $row:ty) => {
        /// The client's options for a datasource.
        pub(super) fn options(settings: &super::config::DatasourceSettings) -> Result<$options, sqlx::Error> {
            use sqlx::ConnectOptions as _;
            let mut options: $options = settings.url.expose().parse()?;
            if let Some(username) = &settings.username {
                options = options.username(username);
            }
            if let Some(password) = &settings.password {
                options = options.password(password.expose());
            }
            Ok(options.disable_statement_logging())
        }

        fn decode(rows: &[$row]) -> crate::error::Result<Vec<crate::model::Row>> {
            use sqlx::{Column as _, Row as _, TypeInfo as _, ValueRef as _};
            let Some(first) = rows.first() else { return Ok(Vec::new()) };
            let columns = names(first);
            let shapes: Vec<Shape> = first.columns().iter().map(|column| shape(column.type_info())).collect();
            let read = |row: &$row| {
                let values = shapes.iter().enumerate().map(|(index, shape)| {
                    let raw = row.try_get_raw(index).map_err(|error| undecodable(&columns[index], error))?;
                    if raw.is_null() {
                        return Ok(crate::model::Value::Null);
                    }
                    if *shape == Shape::Unknown {
                        return Err(unknown_type(&columns[index], raw.type_info().name()));
                    }
                    read_value(raw, *shape).map_err(|error| undecodable(&columns[index], error))
                });
                Ok(crate::model::Row::new(columns.clone(), values.collect::<crate::error::Result<_>>()?))
            };
            rows.iter().map(read).collect()
        }
    };
}
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) use server;
