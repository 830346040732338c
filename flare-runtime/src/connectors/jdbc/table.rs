//! A table as the database describes it: its columns, and what makes its rows unique.

use std::collections::BTreeMap;

use super::Datasource;
use super::client::Session;
use super::dialect::{Dialect, split_table};
use crate::error::Result;
use crate::model::{Row, Value};

/// What is known of a table; without columns it does not exist.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) columns: Vec<TableColumn>,
    /// The columns of each unique index.
    pub(super) unique: Vec<Vec<String>>,
    /// The longest message that the server takes.
    pub(super) max_packet: Option<usize>,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(super) struct TableColumn {
    pub(super) name: String,
    /// The type's name, in lower case; a domain's is that of its base.
    pub(super) ty: String,
    /// PostgreSQL: the type with its schema, quoted.
    pub(super) cast: String,
}

impl Table {
    /// Asks the database for `table`.
    pub(super) async fn load(datasource: &Datasource, table: &str) -> Result<Self> {
        let mut session = datasource.session().await?;
        let dialect = datasource.dialect();
        let params = match (dialect, split_table(table)) {
            (Dialect::Postgres, _) => vec![Value::Text(dialect.quote_table(table))],
            (_, (schema, table)) => vec![
                schema.map_or(Value::Null, |schema| Value::Text(schema.to_owned())),
                Value::Text(table.to_owned()),
            ],
        };
        let columns = session.query(columns_query(dialect).to_owned(), &params).await?;
        let columns = columns.iter().map(column).collect::<Result<_>>()?;
        let rows = session.query(unique_query(dialect).to_owned(), &params).await?;
        let mut unique: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows {
            unique.entry(row.get("index_name")?).or_default().push(row.get("column_name")?);
        }
        let max_packet = max_packet(&mut session, dialect).await?;
        Ok(Self { columns, unique: unique.into_values().collect(), max_packet })
    }

    /// The column called `name`.
    pub(super) fn column(&self, dialect: Dialect, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|column| dialect.same_name(&column.name, name))
    }

    /// Whether exactly these columns make a row unique.
    pub(super) fn is_unique(&self, dialect: Dialect, names: &[&str]) -> bool {
        self.unique.iter().any(|index| {
            let named = |column: &String| names.iter().any(|name| dialect.same_name(column, name));
            index.len() == names.len() && index.iter().all(named)
        })
    }
}

fn column(row: &Row) -> Result<TableColumn> {
    let ty: String = row.get("type_name")?;
    Ok(TableColumn { name: row.get("column_name")?, ty: ty.to_lowercase(), cast: row.get("type_cast")? })
}

async fn max_packet(session: &mut Session, dialect: Dialect) -> Result<Option<usize>> {
    if dialect != Dialect::MySql {
        return Ok(None);
    }
    let rows = session.query("SELECT @@max_allowed_packet AS size".to_owned(), &[]).await?;
    rows.first().map(|row| row.get("size")).transpose()
}

fn columns_query(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::MySql => {
            "SELECT column_name AS column_name, data_type AS type_name, '' AS type_cast \
             FROM information_schema.columns \
             WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?"
        }
        // A domain that is written by a cast would cut a text off, so its base decides.
        Dialect::Postgres => {
            "SELECT a.attname AS column_name, COALESCE(b.typname, t.typname) AS type_name, \
                    quote_ident(n.nspname) || '.' || quote_ident(t.typname) AS type_cast \
             FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
             JOIN pg_namespace n ON n.oid = t.typnamespace \
             LEFT JOIN pg_type b ON b.oid = t.typbasetype \
             WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped"
        }
        Dialect::Sqlite => {
            "SELECT name AS column_name, type AS type_name, '' AS type_cast \
             FROM pragma_table_info(?2, COALESCE(?1, 'main'))"
        }
    }
}

fn unique_query(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::MySql => {
            "SELECT index_name AS index_name, column_name AS column_name \
             FROM information_schema.statistics \
             WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND non_unique = 0 \
             AND column_name IS NOT NULL"
        }
        // Without indexes that ON CONFLICT cannot use: partial, on expressions, deferred, not yet valid.
        Dialect::Postgres => {
            "SELECT i.indexrelid::text AS index_name, a.attname AS column_name \
             FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid \
             AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) \
             WHERE i.indrelid = to_regclass($1::text) AND i.indisunique AND i.indimmediate AND i.indisvalid \
             AND i.indpred IS NULL AND i.indexprs IS NULL"
        }
        Dialect::Sqlite => {
            "SELECT l.name AS index_name, c.name AS column_name \
             FROM pragma_index_list(?2, COALESCE(?1, 'main')) l, pragma_index_info(l.name, COALESCE(?1, 'main')) c \
             WHERE l.\"unique\" = 1 AND l.partial = 0 AND c.name IS NOT NULL \
             UNION SELECT '', name FROM pragma_table_info(?2, COALESCE(?1, 'main')) WHERE pk > 0"
        }
    }
}
