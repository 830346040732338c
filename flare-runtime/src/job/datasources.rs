//! Databases for the user's own code.

use super::sources::Job;
use crate::api::Binding;
use crate::connectors::jdbc::{Datasource, datasource};
use crate::error::{Error, ErrorKind, Result};
use crate::model::RowSchema;

impl Job {
    /// The datasource called `name` in the configuration, for queries of the job's own code. Clones share the pool,
    /// also with the lookups and sinks that name the same datasource; nothing is connected to before the first query.
    ///
    /// ```
    /// # use flare_runtime::{error::Result, job::Job, model::{FromRow, Row}};
    /// # struct User { name: String }
    /// # impl FromRow for User {
    /// #     fn from_row(row: &Row) -> Result<Self> { Ok(Self { name: row.get("name")? }) }
    /// # }
    /// # fn describe(job: &mut Job) -> Result<()> {
    /// let users = job.datasource("users")?;
    /// let name = move |id: u64| {
    ///     let users = users.clone();
    ///     async move { users.query_one::<User>("SELECT name FROM users WHERE id = ?", (id,)).await }
    /// };
    /// let ids = job.values("ids", vec![7_u64]);
    /// ids.lookup_with("name", |id| *id, name, |_, user: &User| user.name.clone())?.for_each(|name| println!("{name}"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Config` when its section `datasource.NAME` is missing or wrong.
    pub fn datasource(&mut self, name: &str) -> Result<Datasource> {
        let mut builder = self.handle.lock();
        let binding = Binding {
            section: format!("datasource.{name}"),
            attribute: None,
            schema: RowSchema { columns: &[] },
        };
        let found = datasource(&mut builder.opening(&binding, &[]), name);
        found.ok_or_else(|| {
            let message = "the datasource has no valid settings";
            Error::new(ErrorKind::Config, message).with("datasource", name).consequence()
        })
    }
}
