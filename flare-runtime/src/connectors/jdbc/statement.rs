//! The statements that write rows into a table.

use std::collections::HashMap;

use super::config::Mode;
use super::dialect::Dialect;
use super::table::{Table, TableColumn};
use crate::api::RowBatch;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{FromValue as _, RowSchema, Value};

/// Statements are kept below this many bytes, by estimate.
const MAX_STATEMENT: usize = 2 << 20;
/// What a value needs beside its text or bytes.
const VALUE_OVERHEAD: usize = 16;

/// A statement with the parameters of its rows.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) params: Vec<Value>,
    /// How many rows it writes.
    pub(super) rows: usize,
}

/// Writes rows of one struct into one table.
#[derive(Debug)]
pub(super) struct Writer {
    dialect: Dialect,
    mode: Mode,
    table: String,
    columns: Vec<Target>,
    max_packet: usize,
}

/// A column that is written to.
#[derive(Debug)]
struct Target {
    name: &'static str,
    quoted: String,
    key: bool,
    sent: Sent,
    /// What stands behind the placeholder.
    cast: String,
}

/// As what the values of a column are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    AsIs,
    Bool,
    Int,
    Float,
    Text,
    Bytes,
}

impl Writer {
    /// A writer into `table`, described by `known`.
    ///
    /// # Errors
    /// `Config` naming what is missing in the database.
    pub(super) fn new(
        dialect: Dialect,
        mode: Mode,
        table: &str,
        schema: &RowSchema,
        known: &Table,
    ) -> Result<Self> {
        if known.columns.is_empty() {
            let error =
                Error::new(ErrorKind::Config, "the table does not exist, or its columns may not be seen");
            return Err(error.with_remedy("create the table, or correct `table`"));
        }
        let mut missing = Vec::new();
        let mut columns = Vec::new();
        for column in schema.columns.iter().filter(|column| column.key || mode != Mode::Delete) {
            match known.column(dialect, column.name) {
                Some(found) => columns.push(Target::new(dialect, column.name, column.key, found)),
                None => missing.push(column.name),
            }
        }
        if !missing.is_empty() {
            let there: Vec<&str> = known.columns.iter().map(|column| column.name.as_str()).collect();
            let error = Error::new(ErrorKind::Config, "the table lacks columns of the struct");
            return Err(error
                .with("missing", missing.join(", "))
                .with("columns", there.join(", "))
                .with_remedy("add the columns, or rename or skip the fields"));
        }
        let keys: Vec<&str> = schema.key().map(|column| column.name).collect();
        if mode == Mode::Upsert && !known.is_unique(dialect, &keys) {
            let error =
                Error::new(ErrorKind::Config, "no primary key or unique index is made of the key columns");
            return Err(error
                .with("key", keys.join(", "))
                .with_remedy("create a unique index on exactly these columns, or set `mode = \"insert\"`"));
        }
        let max_packet = known.max_packet.unwrap_or(usize::MAX);
        Ok(Self { dialect, mode, table: dialect.quote_table(table), columns, max_packet })
    }

    /// The statements that write the batch, in its order. Of rows with one key an upsert keeps the last.
    ///
    /// # Errors
    /// `BadRecord` when a row cannot be written.
    pub(super) fn statements(&self, batch: &RowBatch) -> Result<Vec<Statement>> {
        let rows: Vec<Vec<Value>> =
            batch.rows.iter().map(|row| self.convert(batch, row)).collect::<Result<_>>()?;
        let rows = if self.mode == Mode::Upsert { self.last_of_each_key(rows) } else { rows };
        if self.mode == Mode::Update {
            return Ok(rows.into_iter().map(|row| self.update(row)).collect());
        }
        let mut statements = Vec::new();
        let max_rows = (self.dialect.max_params() / self.columns.len().max(1)).max(1);
        let max_bytes = MAX_STATEMENT.min(self.max_packet / 2);
        let mut part: Vec<Vec<Value>> = Vec::new();
        let mut bytes = 0;
        for row in rows {
            let size = size(&row);
            if !part.is_empty() && (part.len() == max_rows || bytes + size > max_bytes) {
                statements.push(self.many(std::mem::take(&mut part)));
                bytes = 0;
            }
            bytes += size;
            part.push(row);
        }
        if !part.is_empty() {
            statements.push(self.many(part));
        }
        Ok(statements)
    }

    /// The row's values as they are sent, in the order of `self.columns`.
    fn convert(&self, batch: &RowBatch, row: &[Value]) -> Result<Vec<Value>> {
        let of_mode = batch.schema.columns.iter().zip(row);
        let of_mode = of_mode.filter(|(column, _)| column.key || self.mode != Mode::Delete);
        let keyed = self.mode != Mode::Insert;
        let mut values = Vec::with_capacity(self.columns.len());
        for ((_, value), target) in of_mode.zip(&self.columns) {
            if *value == Value::Null && target.key && keyed {
                return Err(Error::bad_record("a key column is NULL").with("column", target.name));
            }
            values.push(target.convert(value)?);
        }
        let size = size(&values);
        if size > self.max_packet {
            let error = Error::bad_record("the row is larger than the server's `max_allowed_packet`");
            return Err(error.with("bytes", size).with("limit", self.max_packet));
        }
        Ok(values)
    }

    fn last_of_each_key(&self, rows: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
        let keys: Vec<Vec<u8>> = rows.iter().map(|row| self.identity(row)).collect();
        let last: HashMap<&[u8], usize> =
            keys.iter().enumerate().map(|(index, key)| (key.as_slice(), index)).collect();
        let rows = rows.into_iter().enumerate();
        rows.filter(|(index, _)| last[keys[*index].as_slice()] == *index).map(|(_, row)| row).collect()
    }

    /// The row's key as bytes, equal exactly when the keys are.
    fn identity(&self, row: &[Value]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (_, value) in self.columns.iter().zip(row).filter(|(target, _)| target.key) {
            bytes.extend(value.kind().as_bytes());
            let text = match value {
                Value::Bytes(content) => content.clone(),
                value => value.to_string().into_bytes(),
            };
            bytes.extend((text.len() as u64).to_be_bytes());
            bytes.extend(text);
        }
        bytes
    }

    fn many(&self, rows: Vec<Vec<Value>>) -> Statement {
        let sql = match self.mode {
            Mode::Delete => self.delete(rows.len()),
            _ => self.insert(rows.len()),
        };
        let count = rows.len();
        Statement { sql, params: rows.into_iter().flatten().collect(), rows: count }
    }

    fn insert(&self, rows: usize) -> String {
        let names: Vec<&str> = self.columns.iter().map(|target| target.quoted.as_str()).collect();
        let mut sql = format!("INSERT INTO {} ({}) VALUES ", self.table, names.join(", "));
        self.tuples(&mut sql, rows);
        if self.mode == Mode::Upsert {
            self.on_conflict(&mut sql);
        }
        sql
    }

    fn on_conflict(&self, sql: &mut String) {
        let (keys, others): (Vec<&Target>, Vec<&Target>) = self.columns.iter().partition(|target| target.key);
        let list = |targets: &[&Target], write: &dyn Fn(&str) -> String| {
            let written: Vec<String> = targets.iter().map(|target| write(&target.quoted)).collect();
            written.join(", ")
        };
        match self.dialect {
            Dialect::MySql => {
                // Where there is nothing but the key, setting it to itself does nothing, and hides no other error.
                let set = if others.is_empty() { &keys } else { &others };
                sql.push_str(" ON DUPLICATE KEY UPDATE ");
                sql.push_str(&list(set, &|name| format!("{name} = VALUES({name})")));
            }
            Dialect::Postgres | Dialect::Sqlite => {
                sql.push_str(&format!(" ON CONFLICT ({}) DO ", list(&keys, &str::to_owned)));
                match others.is_empty() {
                    true => sql.push_str("NOTHING"),
                    false => {
                        sql.push_str("UPDATE SET ");
                        sql.push_str(&list(&others, &|name| format!("{name} = excluded.{name}")));
                    }
                }
            }
        }
    }

    fn delete(&self, rows: usize) -> String {
        let names: Vec<&str> = self.columns.iter().map(|target| target.quoted.as_str()).collect();
        let composite = names.len() > 1;
        let names = names.join(", ");
        let left = if composite { format!("({names})") } else { names };
        let values = if composite && self.dialect == Dialect::Sqlite { "VALUES " } else { "" };
        let mut sql = format!("DELETE FROM {} WHERE {left} IN ({values}", self.table);
        self.tuples(&mut sql, rows);
        sql.push(')');
        sql
    }

    /// `(?, ?), (?, ?)`; without parentheses where a key to delete has one column only.
    fn tuples(&self, sql: &mut String, rows: usize) {
        let bare = self.mode == Mode::Delete && self.columns.len() == 1;
        let mut number = 0;
        for row in 0..rows {
            sql.push_str(if row == 0 { "" } else { ", " });
            sql.push_str(if bare { "" } else { "(" });
            for (index, target) in self.columns.iter().enumerate() {
                sql.push_str(if index == 0 { "" } else { ", " });
                number += 1;
                target.mark(sql, self.dialect, number);
            }
            sql.push_str(if bare { "" } else { ")" });
        }
    }

    /// Updates the row of one key.
    fn update(&self, row: Vec<Value>) -> Statement {
        let (mut set, mut keyed) = (Vec::new(), Vec::new());
        for (target, value) in self.columns.iter().zip(row) {
            if target.key { keyed.push((target, value)) } else { set.push((target, value)) }
        }
        let assigned = set.len();
        let mut sql = format!("UPDATE {} SET ", self.table);
        let mut params = Vec::with_capacity(self.columns.len());
        for (index, (target, value)) in set.into_iter().chain(keyed).enumerate() {
            let before = match index {
                0 => "",
                _ if index == assigned => " WHERE ",
                _ if index > assigned => " AND ",
                _ => ", ",
            };
            sql.push_str(before);
            sql.push_str(&target.quoted);
            sql.push_str(" = ");
            params.push(value);
            target.mark(&mut sql, self.dialect, params.len());
        }
        Statement { sql, params, rows: 1 }
    }
}

impl Target {
    fn new(dialect: Dialect, name: &'static str, key: bool, found: &TableColumn) -> Self {
        let quoted = dialect.quote(&found.name);
        if dialect != Dialect::Postgres {
            return Self { name, quoted, key, sent: Sent::AsIs, cast: String::new() };
        }
        // The type stands in the statement, so that it is prepared alike whether or not the first value is NULL.
        // Texts need no more: a cast to a type with a length would cut them off.
        let (sent, cast) = match found.ty.as_str() {
            "bool" => (Sent::Bool, "::bool".to_owned()),
            "int2" | "int4" | "int8" | "oid" => (Sent::Int, "::int8".to_owned()),
            "float4" | "float8" => (Sent::Float, "::float8".to_owned()),
            "bytea" => (Sent::Bytes, "::bytea".to_owned()),
            "text" | "varchar" | "name" => (Sent::Text, "::text".to_owned()),
            _ => (Sent::Text, format!("::text::{}", found.cast)),
        };
        Self { name, quoted, key, sent, cast }
    }

    fn mark(&self, sql: &mut String, dialect: Dialect, number: usize) {
        match dialect {
            Dialect::Postgres => {
                sql.push('$');
                sql.push_str(&number.to_string());
                sql.push_str(&self.cast);
            }
            Dialect::MySql | Dialect::Sqlite => sql.push('?'),
        }
    }

    fn convert(&self, value: &Value) -> Result<Value> {
        let converted = match (self.sent, value) {
            (_, Value::Null) => Ok(Value::Null),
            (Sent::AsIs, value) => Ok(value.clone()),
            (Sent::Bool, value) => bool::from_value(value).map(Value::Bool),
            (Sent::Int, value) => i64::from_value(value).map(Value::Int),
            (Sent::Float, Value::Text(text)) => {
                let float = text.parse().map(Value::Float);
                float.map_err(|error| Error::bad_record("the text is no number").caused_by(error))
            }
            (Sent::Float, Value::UInt(int)) => Ok(Value::Float(*int as f64)),
            (Sent::Float, value) => f64::from_value(value).map(Value::Float),
            (Sent::Text, Value::Bytes(bytes)) => {
                let text = String::from_utf8(bytes.clone()).map(Value::Text);
                text.map_err(|error| Error::bad_record("the bytes are no text").caused_by(error))
            }
            (Sent::Text, value) => Ok(Value::Text(value.to_string())),
            (Sent::Bytes, value) => Vec::from_value(value).map(Value::Bytes),
        };
        converted.map_err(|error| error.with("column", self.name))
    }
}

fn size(row: &[Value]) -> usize {
    let sizes = row.iter().map(|value| match value {
        Value::Text(text) => VALUE_OVERHEAD + text.len(),
        Value::Bytes(bytes) => VALUE_OVERHEAD + bytes.len(),
        _ => VALUE_OVERHEAD,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Meta};

    const fn column(name: &'static str, key: bool) -> Column {
        Column { field: name, name, key }
    }

    const SCHEMA: RowSchema =
        RowSchema { columns: &[column("id", true), column("name", false), column("price", false)] };
    const PAIR: RowSchema = RowSchema { columns: &[column("a", true), column("b", true)] };

    fn table(columns: &[(&str, &str)], unique: &[&str]) -> Table {
        let columns = columns.iter().map(|(name, ty)| TableColumn {
            name: (*name).to_owned(),
            ty: (*ty).to_owned(),
            cast: format!("pg_catalog.{ty}"),
        });
        let unique = vec![unique.iter().map(|name| (*name).to_owned()).collect()];
        Table { columns: columns.collect(), unique, max_packet: None }
    }

    fn writer(dialect: Dialect, mode: Mode, schema: &RowSchema) -> Writer {
        let table = match schema.columns.len() {
            3 => table(&[("id", "int4"), ("name", "varchar"), ("price", "numeric")], &["id"]),
            _ => table(&[("a", "int8"), ("b", "uuid")], &["b", "a"]),
        };
        Writer::new(dialect, mode, "dw.t", schema, &table).expect("fits")
    }

    fn batch(schema: RowSchema, rows: Vec<Vec<Value>>) -> RowBatch {
        let metas = vec![Meta::NONE; rows.len()];
        RowBatch { schema, rows, metas }
    }

    fn row(id: i64, name: &str) -> Vec<Value> {
        vec![Value::Int(id), Value::Text(name.to_owned()), Value::Float(1.5)]
    }

    #[test]
    fn upserts_in_every_dialect() {
        let rows = batch(SCHEMA, vec![row(1, "a"), row(2, "b"), row(1, "c")]);
        let sql = |dialect| {
            let mut all = writer(dialect, Mode::Upsert, &SCHEMA).statements(&rows).expect("statements");
            assert_eq!(all.len(), 1);
            let statement = all.remove(0);
            assert_eq!(statement.params[1], Value::Text("b".into()), "the last of each key, in order");
            assert_eq!(statement.rows, 2);
            statement.sql
        };
        assert_eq!(
            sql(Dialect::MySql),
            "INSERT INTO `dw`.`t` (`id`, `name`, `price`) VALUES (?, ?, ?), (?, ?, ?) ON DUPLICATE KEY UPDATE \
             `name` = VALUES(`name`), `price` = VALUES(`price`)"
        );
        assert_eq!(
            sql(Dialect::Postgres),
            "INSERT INTO \"dw\".\"t\" (\"id\", \"name\", \"price\") VALUES \
             ($1::int8, $2::text, $3::text::pg_catalog.numeric), ($4::int8, $5::text, $6::text::pg_catalog.numeric) \
             ON CONFLICT (\"id\") DO UPDATE SET \"name\" = excluded.\"name\", \"price\" = excluded.\"price\""
        );
        assert!(sql(Dialect::Sqlite).contains("(?, ?, ?), (?, ?, ?) ON CONFLICT (\"id\") DO UPDATE SET"));
    }

    #[test]
    fn writes_tables_that_are_all_key() {
        let rows = batch(PAIR, vec![vec![Value::Int(1), Value::Text("x".into())]]);
        let sql = |dialect, mode| {
            let statements = writer(dialect, mode, &PAIR).statements(&rows).expect("statements");
            statements[0].sql.clone()
        };
        assert!(sql(Dialect::MySql, Mode::Upsert).ends_with("UPDATE `a` = VALUES(`a`), `b` = VALUES(`b`)"));
        assert!(sql(Dialect::Sqlite, Mode::Upsert).ends_with("ON CONFLICT (\"a\", \"b\") DO NOTHING"));
        assert_eq!(sql(Dialect::MySql, Mode::Delete), "DELETE FROM `dw`.`t` WHERE (`a`, `b`) IN ((?, ?))");
        let delete = "DELETE FROM \"dw\".\"t\" WHERE (\"a\", \"b\") IN (VALUES (?, ?))";
        assert_eq!(sql(Dialect::Sqlite, Mode::Delete), delete);
    }

    #[test]
    fn updates_and_deletes_by_key() {
        let rows = batch(SCHEMA, vec![row(1, "a"), row(2, "b")]);
        let update = writer(Dialect::MySql, Mode::Update, &SCHEMA).statements(&rows).expect("statements");
        assert_eq!(update[0].sql, "UPDATE `dw`.`t` SET `name` = ?, `price` = ? WHERE `id` = ?");
        assert_eq!((update.len(), &update[1].params[2]), (2, &Value::Int(2)));
        let delete = writer(Dialect::Postgres, Mode::Delete, &SCHEMA).statements(&rows).expect("statements");
        assert_eq!(delete[0].sql, "DELETE FROM \"dw\".\"t\" WHERE \"id\" IN ($1::int8, $2::int8)");
        assert_eq!(delete[0].params, [Value::Int(1), Value::Int(2)]);
    }

    #[test]
    fn keeps_within_parameters_and_bytes() {
        let rows = batch(SCHEMA, (0..30_000).map(|id| row(id, "a")).collect());
        let statements =
            writer(Dialect::Sqlite, Mode::Insert, &SCHEMA).statements(&rows).expect("statements");
        assert!(statements.iter().all(|statement| statement.params.len() <= 32_766));
        assert_eq!(statements.iter().map(|statement| statement.rows).sum::<usize>(), 30_000);
        let long = "x".repeat(500_000);
        let rows = batch(SCHEMA, (0..10).map(|id| row(id, &long)).collect());
        let statements = writer(Dialect::MySql, Mode::Insert, &SCHEMA).statements(&rows).expect("statements");
        assert_eq!(statements.len(), 3);
    }

    #[test]
    fn refuses_rows_without_a_key() {
        let rows = batch(SCHEMA, vec![vec![Value::Null, Value::Null, Value::Null]]);
        let error = writer(Dialect::MySql, Mode::Update, &SCHEMA).statements(&rows).expect_err("no key");
        assert_eq!((error.kind(), error.context("column")), (ErrorKind::BadRecord, Some("id")));
        assert!(writer(Dialect::MySql, Mode::Insert, &SCHEMA).statements(&rows).is_ok());
    }

    #[test]
    fn names_what_the_table_lacks() {
        let new = |table: &Table| {
            Writer::new(Dialect::MySql, Mode::Upsert, "t", &SCHEMA, table).expect_err("unfit")
        };
        assert!(new(&Table::default()).message().contains("does not exist"));
        let error = new(&table(&[("ID", "int")], &["id"]));
        assert_eq!(error.context("missing"), Some("name, price"));
        let all = [("id", "int"), ("name", "varchar"), ("price", "decimal")];
        let error = new(&table(&all, &["id", "name"]));
        assert_eq!(error.context("key"), Some("id"));
    }
}
