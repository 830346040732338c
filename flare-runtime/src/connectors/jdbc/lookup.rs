//! Finds rows by key, many keys in one query.

use std::sync::Arc;

use async_trait::async_trait;

use super::Datasource;
use super::client::Session;
use super::config::{LookupSettings, datasource};
use super::key_query::KeyQuery;
use crate::api::{LookupConnector, Opening, RowLookup};
use crate::config::{Setting, Settings as _, suggestion};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Row, RowSchema, Value};

/// How many parameters one query may have; a power of two.
const MAX_PARAMS: usize = 1024;

/// The lookups of the connector `jdbc`.
pub(super) struct JdbcLookups;

impl LookupConnector for JdbcLookups {
    fn settings(&self) -> &'static [Setting] {
        LookupSettings::ALL
    }

    fn open(&self, opening: &mut Opening<'_>) -> Option<Box<dyn RowLookup>> {
        let settings = opening.settings::<LookupSettings>()?;
        let datasource = datasource(opening, &settings.datasource)?;
        let schema = opening.binding.schema;
        let keys: Vec<_> = schema.key().collect();
        match KeyQuery::parse(&settings.sql, datasource.dialect(), &keys) {
            Ok(query) => Some(Box::new(JdbcLookup { datasource, sql: settings.sql.into(), query, schema })),
            Err(troubles) => {
                for (message, remedy) in troubles {
                    let place = format!("{}.sql", opening.binding.section);
                    opening.problems.add("bad-query", place, message, remedy);
                }
                None
            }
        }
    }
}

struct JdbcLookup {
    datasource: Datasource,
    sql: Arc<str>,
    query: KeyQuery,
    schema: RowSchema,
}

#[async_trait]
impl RowLookup for JdbcLookup {
    fn describe(&self) -> String {
        format!("{} in {}", self.datasource.name(), self.datasource.location())
    }

    async fn check(&self) -> Result<()> {
        let key = vec![Value::Null; self.schema.key().count()];
        let (sql, _) = self.query.many(&[&key]).unwrap_or_else(|| self.query.one(&key));
        let mut session = self.datasource.session().await?;
        let columns = session.columns(sql).await.map_err(|error| self.place(error))?;
        if let Some(column) = columns.iter().find(|column| !column.is_known) {
            let error = Error::new(
                ErrorKind::Config,
                "a column of the query's result has a type that cannot be read",
            );
            let error = error.with("column", &column.name).with("type", &column.ty);
            return Err(self.place(error.with_remedy("read it as text: CAST(column AS …) or column::text")));
        }
        let names = || columns.iter().map(|column| column.name.as_str());
        let mut wanted = self.schema.columns.iter().map(|column| column.name);
        let missing = wanted.find(|wanted| !names().any(|name| name.eq_ignore_ascii_case(wanted)));
        missing.map_or(Ok(()), |column| {
            let error = Error::new(ErrorKind::Config, "the query gives no column for a field of the struct");
            let remedy =
                format!("select it, or give the field another column; {}", suggestion(column, names()));
            Err(self.place(error.with("column", column).with_remedy(remedy)))
        })
    }

    async fn fetch(&self, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        // NULL equals nothing.
        let keys = keys.iter().filter(|key| !key.contains(&Value::Null));
        let keys: Vec<&[Value]> = keys.map(Vec::as_slice).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut session = self.datasource.session().await?;
        let mut rows = Vec::new();
        for part in keys.chunks(self.max_batch()) {
            rows.append(&mut self.fetch_part(&mut session, part).await.map_err(|error| self.place(error))?);
        }
        Ok(rows)
    }

    async fn load(&self) -> Result<Vec<Row>> {
        let Some(sql) = self.query.all() else {
            let message = "the query cannot be loaded whole: its condition on the key cannot be taken away";
            let remedy = "write the condition as `key = :key` in the outermost WHERE, joined by AND";
            return Err(self.place(Error::new(ErrorKind::Unsupported, message).with_remedy(remedy)));
        };
        let mut session = self.datasource.session().await?;
        session.query(sql, &[]).await.map_err(|error| self.place(error))
    }

    fn concurrency(&self) -> usize {
        self.datasource.max_connections()
    }

    fn max_batch(&self) -> usize {
        let parts = self.schema.key().count().next_power_of_two();
        if self.query.is_batched() { (MAX_PARAMS / parts).max(1) } else { 1 }
    }
}

impl JdbcLookup {
    async fn fetch_part(&self, session: &mut Session, keys: &[&[Value]]) -> Result<Vec<Row>> {
        let mut padded = keys.to_vec();
        // Few sizes, so that the database prepares few statements.
        let size = keys.len().next_power_of_two();
        padded.resize(size, keys[keys.len() - 1]);
        let (sql, params) = self.query.many(&padded).unwrap_or_else(|| self.query.one(keys[0]));
        session.query(sql, &params).await
    }

    fn place(&self, error: Error) -> Error {
        let error = match error.context("datasource") {
            Some(_) => error,
            None => error.with("datasource", self.datasource.name()),
        };
        error.with("sql", &self.sql)
    }
}
