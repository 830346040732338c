//! Writes rows into a table, each batch in one transaction.

use std::sync::Arc;

use async_trait::async_trait;

use super::Datasource;
use super::config::{Mode, SinkSettings, datasource};
use super::driver::Prepare;
use super::statement::{Statement, Writer};
use super::table::Table;
use crate::api::{
    Capability, CreateSink, Opening, ReadBack, ReadRows, RowBatch, Sink, SinkConnector, SinkContext,
    SinkFactory,
};
use crate::config::{Setting, Settings as _};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Reject, Row, RowSchema};

/// The sinks of the connector `jdbc`.
pub(super) struct JdbcSinks;

impl SinkConnector for JdbcSinks {
    fn capability(&self) -> Capability {
        Capability { atomic_batches: true, batch: 500, ..Capability::NONE }
    }

    fn settings(&self) -> &'static [Setting] {
        SinkSettings::ALL
    }

    fn open(&self, opening: &mut Opening<'_>, _subtasks: usize) -> Option<SinkFactory> {
        let settings = opening.settings::<SinkSettings>()?;
        let is_fit = check_schema(&settings, opening);
        let datasource = datasource(opening, &settings.datasource)?;
        let target = Target { datasource, settings, schema: opening.binding.schema };
        is_fit.then(|| SinkFactory::Rows(Arc::new(JdbcSinkFactory(Arc::new(target)))))
    }

    fn read_back(&self, opening: &mut Opening<'_>) -> Option<ReadBack> {
        let settings = opening.settings::<SinkSettings>()?;
        let datasource = datasource(opening, &settings.datasource)?;
        let target = Target { datasource, settings, schema: opening.binding.schema };
        Some(ReadBack::Rows(Box::new(target)))
    }
}

/// Whether the struct has what the mode needs.
fn check_schema(settings: &SinkSettings, opening: &mut Opening<'_>) -> bool {
    let binding = opening.binding;
    let keys = binding.schema.key().count();
    let all_key = keys == binding.schema.columns.len();
    let trouble = match settings.mode {
        Mode::Insert => None,
        _ if keys == 0 => {
            Some(("the mode needs a key, and the struct has none", "mark the key fields with `#[key]`"))
        }
        Mode::Update if all_key => Some((
            "the mode updates what is not key, and the struct has nothing else",
            "add fields, or use another mode",
        )),
        _ => None,
    };
    match trouble {
        Some((message, remedy)) => {
            opening.problems.add("bad-mode", format!("{}.mode", binding.section), message, remedy);
            false
        }
        None => true,
    }
}

/// What all subtasks of a sink write to.
#[derive(Debug)]
struct Target {
    datasource: Datasource,
    settings: SinkSettings,
    schema: RowSchema,
}

impl Target {
    async fn writer(&self) -> Result<Writer> {
        let SinkSettings { table, mode, .. } = &self.settings;
        let known = Table::load(&self.datasource, table).await.map_err(|error| self.place(error))?;
        let writer = Writer::new(self.datasource.dialect(), *mode, table, &self.schema, &known);
        writer.map_err(|error| self.place(error))
    }

    fn place(&self, error: Error) -> Error {
        let error = match error.context("datasource") {
            Some(_) => error,
            None => error.with("datasource", self.datasource.name()),
        };
        error.with("table", &self.settings.table)
    }
}

#[async_trait]
impl ReadRows for Target {
    async fn rows(&self) -> Result<Vec<Row>> {
        let table = self.datasource.dialect().quote_table(&self.settings.table);
        let mut session = self.datasource.session().await?;
        let rows = session.query(format!("SELECT * FROM {table}"), &[]).await;
        rows.map_err(|error| self.place(error))
    }
}

struct JdbcSinkFactory(Arc<Target>);

#[async_trait]
impl CreateSink<RowBatch> for JdbcSinkFactory {
    fn describe(&self) -> String {
        format!("table {} in {}", self.0.settings.table, self.0.datasource.location())
    }

    async fn check(&self) -> Result<()> {
        self.0.writer().await.map(|_| ())
    }

    async fn create(&self, _: SinkContext) -> Result<Box<dyn Sink<RowBatch>>> {
        Ok(Box::new(JdbcSink { target: Arc::clone(&self.0), writer: None, last_rows: 0 }))
    }
}

struct JdbcSink {
    target: Arc<Target>,
    /// Made at the first write, so that a database that is away then is waited for as at any other write.
    writer: Option<Writer>,
    /// How many rows the last statement had: sizes that come again are worth preparing.
    last_rows: usize,
}

#[async_trait]
impl Sink<RowBatch> for JdbcSink {
    async fn write(&mut self, batch: &RowBatch, _: &mut Vec<Reject>) -> Result<()> {
        let target = Arc::clone(&self.target);
        if self.writer.is_none() {
            // What was right when the job was checked and is not any more, fails it.
            let made = target.writer().await;
            self.writer = Some(made.map_err(|error| match error.kind() {
                ErrorKind::Config => error.into_kind(ErrorKind::Failed),
                _ => error,
            })?);
        }
        let Some(writer) = &self.writer else { return Ok(()) };
        let statements = writer.statements(batch).map_err(|error| target.place(error))?;
        self.run(statements).await.map_err(|error| target.place(error))
    }

    /// What was written is safe already.
    async fn flush(&mut self, _: &mut Vec<Reject>) -> Result<()> {
        Ok(())
    }
}

impl JdbcSink {
    /// Runs all statements or none. One alone is its own transaction.
    async fn run(&mut self, statements: Vec<Statement>) -> Result<()> {
        if statements.is_empty() {
            return Ok(());
        }
        let mut session = self.target.datasource.session().await?;
        let together = statements.len() > 1;
        if together {
            session.begin().await?;
        }
        for statement in statements {
            let again = statement.rows == self.last_rows;
            let prepare = if again { Prepare::Keep } else { Prepare::Once };
            self.last_rows = statement.rows;
            let written = session.execute(statement.sql, &statement.params, prepare).await;
            if let Err(error) = written {
                session.rollback().await;
                return Err(error);
            }
        }
        if together { session.commit().await } else { Ok(()) }
    }
}
