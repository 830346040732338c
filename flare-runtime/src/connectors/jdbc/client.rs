//! A datasource: the connections to one database, and what is run on them.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::config::{DatabaseUrl, DatasourceSettings};
use super::dialect::Dialect;
use super::driver::{Connection, Prepare, ResultColumn, Target};
use super::fault::Fault;
use super::params::IntoParams;
use super::sql;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{FromRow, Row, Value};

/// A connection that was idle for longer is tested before it is used.
const TEST_AFTER: Duration = Duration::from_secs(5);

/// A database that the job is configured for, with its pool of connections.
///
/// Connections are made when they are needed, up to `max_connections`; who comes then waits for one, however long
/// that takes. A clone is the same datasource.
///
/// Statements are written with the placeholder `?` for every database; a question mark that belongs to an operator
/// of PostgreSQL is written `??`. A text that is meant for a PostgreSQL column of another type needs a cast:
/// `?::uuid`.
#[derive(Clone)]
pub struct Datasource(Arc<Inner>);

struct Inner {
    name: String,
    url: DatabaseUrl,
    location: String,
    target: Target,
    max_connections: usize,
    connect_timeout: Duration,
    idle_timeout: Duration,
    statement_timeout: Option<Duration>,
    init_sql: Option<PathBuf>,
    init: OnceCell<()>,
    permits: Arc<Semaphore>,
    pool: Mutex<Pool>,
}

/// The url without a password; a file's path whole.
fn location(url: &DatabaseUrl, base: &Path) -> String {
    let shown = url.to_string();
    match shown.strip_prefix("sqlite:") {
        Some(path) => base.join(path.trim_start_matches("//")).display().to_string(),
        None => shown,
    }
}

/// How long one connection may take to close at the end of a job.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections that nobody uses, the one used last at the end.
#[derive(Default)]
struct Pool {
    idle: VecDeque<(Connection, Instant)>,
    /// When a connection was last found broken: those idle since before then are tested.
    broken_at: Option<Instant>,
}

impl Datasource {
    /// A datasource called `name`; nothing is connected yet. Relative paths start at `base`.
    ///
    /// # Errors
    /// `Config` when a setting cannot be used; `Unsupported` when this build lacks the database's feature.
    pub(super) fn open(name: &str, settings: &DatasourceSettings, base: &Path) -> Result<Self> {
        let target = Target::open(settings, base).map_err(|error| error.with("datasource", name))?;
        let init_sql = settings.init_sql.as_ref().map(|path| base.join(path));
        if let Some(path) = init_sql.as_ref().filter(|path| !path.is_file()) {
            let error = Error::new(ErrorKind::Config, "the file that `init_sql` names does not exist");
            return Err(error.with("datasource", name).with("file", path.display()));
        }
        Ok(Self(Arc::new(Inner {
            name: name.to_owned(),
            location: location(&settings.url, base),
            url: settings.url.clone(),
            target,
            max_connections: settings.max_connections,
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.idle_timeout,
            statement_timeout: settings.statement_timeout,
            init_sql,
            init: OnceCell::new(),
            permits: Arc::new(Semaphore::new(settings.max_connections)),
            pool: Mutex::default(),
        })))
    }

    /// The name of its section.
    ///
    /// ```
    /// # use flare_runtime::connectors::jdbc::Datasource;
    /// fn describe(users: &Datasource) -> String {
    ///     format!("users are in [datasource.{}]", users.name())
    /// }
    /// ```
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Closes the connections that nobody uses, at the end of a job.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut self.0.pool().idle);
        for (connection, _) in idle {
            // A server that is gone must not hold up the end of the job.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, connection.close()).await;
        }
    }

    /// Where it is, for reports: its url without a password.
    pub(super) fn location(&self) -> &str {
        &self.0.location
    }

    /// The first row of a query, if it has any.
    ///
    /// ```
    /// # use flare_runtime::{connectors::jdbc::Datasource, error::Result, model::{FromRow, Row}};
    /// # struct User { name: String }
    /// # impl FromRow for User {
    /// #     fn from_row(row: &Row) -> Result<Self> { Ok(Self { name: row.get("name")? }) }
    /// # }
    /// # async fn run(users: &Datasource) -> Result<()> {
    /// let sql = "SELECT name FROM users WHERE id = ?";
    /// let user = users.query_one::<User>(sql, (7_u64,)).await?; // `User` has `#[derive(FromRow)]`
    /// println!("{}", user.map_or("nobody".to_owned(), |user| user.name));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Unavailable` or `Timeout` when another try may succeed; `BadRecord` when the row does not fit `T`.
    ///
    /// # Cancel safety
    /// Cancel safe: the connection is closed.
    pub async fn query_one<T: FromRow>(&self, sql: &str, params: impl IntoParams) -> Result<Option<T>> {
        let rows = self.session().await?.user_query(sql, params.into_params()).await?;
        rows.first().map(T::from_row).transpose()
    }

    /// All rows of a query.
    ///
    /// ```
    /// # use flare_runtime::{connectors::jdbc::Datasource, error::Result, model::{FromRow, Row}};
    /// # struct User { name: String }
    /// # impl FromRow for User {
    /// #     fn from_row(row: &Row) -> Result<Self> { Ok(Self { name: row.get("name")? }) }
    /// # }
    /// # async fn run(users: &Datasource) -> Result<()> {
    /// let sql = "SELECT name FROM users WHERE level >= ? AND country = ?";
    /// for user in users.query_list::<User>(sql, (3, "FR")).await? {
    ///     println!("{}", user.name);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Datasource::query_one`].
    ///
    /// # Cancel safety
    /// Cancel safe: the connection is closed.
    pub async fn query_list<T: FromRow>(&self, sql: &str, params: impl IntoParams) -> Result<Vec<T>> {
        let rows = self.session().await?.user_query(sql, params.into_params()).await?;
        rows.iter().map(T::from_row).collect()
    }

    /// Runs a statement and returns how many rows it concerned.
    ///
    /// ```
    /// # use flare_runtime::{connectors::jdbc::Datasource, error::Result};
    /// # async fn run(users: &Datasource) -> Result<()> {
    /// let sql = "UPDATE users SET level = ? WHERE id = ?";
    /// if users.execute(sql, (4, 7_u64)).await? == 0 {
    ///     println!("there is no such user");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Datasource::query_one`]; `BadRecord` when a value is refused, such as by a constraint. After
    /// `Unavailable` or `Timeout` the statement may have been carried out nevertheless.
    ///
    /// # Cancel safety
    /// Not cancel safe: the statement may have been carried out.
    pub async fn execute(&self, sql: &str, params: impl IntoParams) -> Result<u64> {
        self.session().await?.user_execute(sql, params.into_params()).await
    }

    /// Runs `work` in a transaction, which is committed when `work` returns `Ok` and rolled back else.
    ///
    /// ```
    /// # use flare_runtime::{connectors::jdbc::Datasource, error::Result};
    /// # async fn run(users: &Datasource) -> Result<()> {
    /// let moved = users.transaction(async |transaction| {
    ///     transaction.execute("UPDATE users SET level = level - 1 WHERE id = ?", (7_u64,)).await?;
    ///     transaction.execute("UPDATE users SET level = level + 1 WHERE id = ?", (8_u64,)).await
    /// });
    /// moved.await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The error of `work`, or as [`Datasource::execute`].
    ///
    /// # Cancel safety
    /// Cancel safe before the commit: everything is rolled back.
    pub async fn transaction<T>(&self, work: impl AsyncFnOnce(&mut Transaction) -> Result<T>) -> Result<T> {
        let mut session = self.session().await?;
        session.begin().await?;
        let mut transaction = Transaction(session);
        let done = work(&mut transaction).await;
        let mut session = transaction.0;
        match done {
            Ok(value) => {
                session.commit().await?;
                Ok(value)
            }
            Err(error) => {
                session.rollback().await;
                Err(error)
            }
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.0.target.dialect()
    }

    pub(super) fn max_connections(&self) -> usize {
        self.0.max_connections
    }

    /// A connection for this caller alone.
    pub(super) async fn session(&self) -> Result<Session> {
        if let Some(path) = &self.0.init_sql {
            // On a connection that is given back before the caller gets its own: there may be only one.
            let init = async || self.connected().await?.init(path).await;
            self.0.init.get_or_try_init(init).await?;
        }
        self.connected().await
    }

    async fn connected(&self) -> Result<Session> {
        let permit = Arc::clone(&self.0.permits).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let mut session =
            Session { connection: None, state: State::Ready, inner: Arc::clone(&self.0), _permit: permit };
        while let Some((mut connection, since)) = self.0.take_idle() {
            if self.0.is_trusted(since) || self.0.test(&mut connection).await {
                session.connection = Some(connection);
                return Ok(session);
            }
        }
        session.connection = Some(self.0.connect().await?);
        Ok(session)
    }
}

impl fmt::Debug for Datasource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datasource")
            .field("name", &self.0.name)
            .field("url", &self.0.url)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection used last, after those that were idle for too long are closed.
    fn take_idle(&self) -> Option<(Connection, Instant)> {
        let mut pool = self.pool();
        while pool.idle.front().is_some_and(|(_, since)| since.elapsed() > self.idle_timeout) {
            pool.idle.pop_front();
        }
        pool.idle.pop_back()
    }

    fn is_trusted(&self, since: Instant) -> bool {
        let broken_at = self.pool().broken_at;
        since.elapsed() < TEST_AFTER && broken_at.is_none_or(|broken_at| broken_at < since)
    }

    async fn test(&self, connection: &mut Connection) -> bool {
        tokio::time::timeout(self.connect_timeout, connection.is_alive()).await.unwrap_or(false)
    }

    async fn connect(&self) -> Result<Connection> {
        let connecting = async {
            let mut connection = self.target.connect().await?;
            for statement in session_setup(self.target.dialect()) {
                connection.script((*statement).to_owned()).await?;
            }
            self.limit_statements(&mut connection).await;
            Ok::<_, Fault>(connection)
        };
        let connected = tokio::time::timeout(self.connect_timeout, connecting).await;
        let connected = connected
            .map_err(|_| Error::new(ErrorKind::Unavailable, "connecting took longer than `connect_timeout`"));
        let connected =
            connected.and_then(|done| done.map_err(|fault| fault.into_error(self.target.dialect())));
        connected.map_err(|error| self.place(error))
    }

    /// Has the server stop statements, so that one which nobody waits for any more does not burden it. MySQL and
    /// MariaDB call the setting differently; where the server knows neither, the client's own limit remains.
    async fn limit_statements(&self, connection: &mut Connection) {
        let Some(timeout) = self.statement_timeout else { return };
        let (seconds, millis) = (timeout.as_secs_f64(), timeout.as_millis());
        let settings = match self.target.dialect() {
            Dialect::MySql => vec![
                format!("SET SESSION max_statement_time = {seconds}"),
                format!("SET SESSION max_execution_time = {millis}"),
            ],
            Dialect::Postgres => vec![format!("SET statement_timeout = {millis}")],
            Dialect::Sqlite => Vec::new(),
        };
        for setting in settings {
            if connection.script(setting).await.is_ok() {
                return;
            }
        }
    }

    /// Adds where an error happened.
    fn place(&self, error: Error) -> Error {
        if error.context("datasource").is_some() {
            return error;
        }
        error.with("datasource", &self.name).with("url", &self.url)
    }
}

/// What every new connection is told.
fn session_setup(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        // A lenient server would cut values off instead of refusing them.
        Dialect::MySql => {
            &["SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), time_zone = '+00:00'"]
        }
        // The client asks for UTC when it connects.
        Dialect::Postgres | Dialect::Sqlite => &[],
    }
}

/// What a connection is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    InTransaction,
    /// Something was begun and not finished: the connection cannot be used again.
    Unfinished,
}

/// A connection lent to one caller; given back when dropped, unless something on it was left unfinished.
pub(super) struct Session {
    connection: Option<Connection>,
    state: State,
    inner: Arc<Inner>,
    _permit: OwnedSemaphorePermit,
}

impl Session {
    pub(super) async fn query(&mut self, sql: String, params: &[Value]) -> Result<Vec<Row>> {
        self.run(async |connection| connection.query(sql, params, Prepare::Keep).await).await
    }

    pub(super) async fn execute(&mut self, sql: String, params: &[Value], prepare: Prepare) -> Result<u64> {
        self.run(async |connection| connection.execute(sql, params, prepare).await).await
    }

    pub(super) async fn columns(&mut self, sql: String) -> Result<Vec<ResultColumn>> {
        self.run(async |connection| connection.columns(sql).await).await
    }

    pub(super) async fn begin(&mut self) -> Result<()> {
        let begin = self.inner.target.dialect().begin().to_owned();
        self.run(async |connection| connection.script(begin).await).await?;
        self.state = State::InTransaction;
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> Result<()> {
        let done = self.run(async |connection| connection.script("COMMIT".to_owned()).await).await;
        match done {
            Ok(()) => {
                self.state = State::Ready;
                Ok(())
            }
            Err(error) => {
                self.rollback().await;
                Err(error)
            }
        }
    }

    /// Rolls the transaction back; a connection on which that fails is closed, which does the same.
    pub(super) async fn rollback(&mut self) {
        if self.state != State::InTransaction {
            return;
        }
        let done = self.run(async |connection| connection.script("ROLLBACK".to_owned()).await).await;
        self.state = if done.is_ok() { State::Ready } else { State::Unfinished };
    }

    async fn init(&mut self, path: &Path) -> Result<()> {
        let script = std::fs::read_to_string(path).map_err(|error| {
            let error = Error::new(ErrorKind::Config, "the file that `init_sql` names cannot be read")
                .caused_by(error);
            self.inner.place(error.with("file", path.display()))
        })?;
        let done = self.run(async |connection| connection.script(script).await).await;
        done.map_err(|error| error.with("init_sql", path.display()))
    }

    async fn user_query(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>> {
        let text = sql::positional(sql, self.inner.target.dialect(), &params)?;
        self.query(text, &params).await.map_err(|error| error.with("sql", sql))
    }

    async fn user_execute(&mut self, sql: &str, params: Vec<Value>) -> Result<u64> {
        let text = sql::positional(sql, self.inner.target.dialect(), &params)?;
        self.execute(text, &params, Prepare::Keep).await.map_err(|error| error.with("sql", sql))
    }

    /// Runs one thing on the connection; while it is not finished, the connection counts as lost.
    async fn run<T>(&mut self, work: impl AsyncFnOnce(&mut Connection) -> Result<T, Fault>) -> Result<T> {
        let before = self.state;
        let usable = self.connection.as_mut().filter(|_| before != State::Unfinished);
        let Some(connection) = usable else {
            let error = Error::new(ErrorKind::Unavailable, "the connection was lost before");
            return Err(self.inner.place(error));
        };
        self.state = State::Unfinished;
        let work = work(connection);
        let done = match self.inner.statement_timeout {
            None => Ok(work.await),
            Some(timeout) => tokio::time::timeout(timeout, work).await,
        };
        let error = match done {
            Ok(Ok(value)) => {
                self.state = before;
                return Ok(value);
            }
            Ok(Err(fault)) => {
                if fault.is_connection_lost() {
                    self.inner.pool().broken_at = Some(Instant::now());
                } else {
                    self.state = before;
                }
                fault.into_error(self.inner.target.dialect())
            }
            Err(_) => Error::new(ErrorKind::Timeout, "the statement took longer than `statement_timeout`"),
        };
        Err(self.inner.place(error))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| self.state == State::Ready) {
            self.inner.pool().idle.push_back((connection, Instant::now()));
        }
    }
}

/// A transaction that [`Datasource::transaction`] has begun.
pub struct Transaction(Session);

impl Transaction {
    /// As [`Datasource::query_one`].
    ///
    /// # Errors
    /// As [`Datasource::query_one`].
    pub async fn query_one<T: FromRow>(&mut self, sql: &str, params: impl IntoParams) -> Result<Option<T>> {
        let rows = self.0.user_query(sql, params.into_params()).await?;
        rows.first().map(T::from_row).transpose()
    }

    /// As [`Datasource::query_list`].
    ///
    /// # Errors
    /// As [`Datasource::query_list`].
    pub async fn query_list<T: FromRow>(&mut self, sql: &str, params: impl IntoParams) -> Result<Vec<T>> {
        let rows = self.0.user_query(sql, params.into_params()).await?;
        rows.iter().map(T::from_row).collect()
    }

    /// As [`Datasource::execute`].
    ///
    /// # Errors
    /// As [`Datasource::execute`].
    pub async fn execute(&mut self, sql: &str, params: impl IntoParams) -> Result<u64> {
        self.0.user_execute(sql, params.into_params()).await
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transaction").field(&self.0.inner.name).finish()
    }
}
