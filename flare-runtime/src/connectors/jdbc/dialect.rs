//! What differs between the databases' SQL.

use crate::model::Value;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// MySQL and MariaDB.
    MySql,
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// As it is called in reports, in urls and as a feature.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }

    /// A quoted identifier.
    pub(super) fn quote(self, name: &str) -> String {
        match self {
            Self::MySql => format!("`{}`", name.replace('`', "``")),
            Self::Postgres | Self::Sqlite => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// A table, written `table` or `schema.table`, quoted.
    pub(super) fn quote_table(self, table: &str) -> String {
        match split_table(table) {
            (Some(schema), table) => format!("{}.{}", self.quote(schema), self.quote(table)),
            (None, table) => self.quote(table),
        }
    }

    /// How many parameters one statement may have.
    pub(super) fn max_params(self) -> usize {
        match self {
            Self::MySql | Self::Postgres => 65_535,
            Self::Sqlite => 32_766,
        }
    }

    /// Whether names are told apart by case.
    pub(super) fn same_name(self, left: &str, right: &str) -> bool {
        match self {
            Self::MySql | Self::Sqlite => left.eq_ignore_ascii_case(right),
            Self::Postgres => left == right,
        }
    }

    /// Appends the placeholder of parameter `number`, counted from 1.
    ///
    /// PostgreSQL prepares a statement once for its text, so the text must say which types are bound.
    pub(super) fn mark(self, sql: &mut String, number: usize, value: &Value) {
        match self {
            Self::MySql | Self::Sqlite => sql.push('?'),
            Self::Postgres => {
                sql.push('$');
                sql.push_str(&number.to_string());
                sql.push_str(postgres_cast(value));
            }
        }
    }

    /// The statement that begins a transaction in which rows will be written.
    pub(super) fn begin(self) -> &'static str {
        match self {
            Self::MySql | Self::Postgres => "BEGIN",
            // Else a reader that becomes a writer could be refused without waiting its turn.
            Self::Sqlite => "BEGIN IMMEDIATE",
        }
    }
}

fn postgres_cast(value: &Value) -> &'static str {
    match value {
        Value::Null => "",
        Value::Bool(_) => "::bool",
        Value::Int(_) => "::int8",
        Value::UInt(_) => "::text::numeric",
        Value::Float(_) => "::float8",
        Value::Text(_) => "::text",
        Value::Bytes(_) => "::bytea",
        Value::Time(_) => "::timestamptz",
    }
}

/// Schema, if any, and name of a table.
pub(super) fn split_table(table: &str) -> (Option<&str>, &str) {
    match table.split_once('.') {
        Some((schema, table)) => (Some(schema), table),
        None => (None, table),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_names_for_each_dialect() {
        assert_eq!(Dialect::MySql.quote_table("dw.or`der"), "`dw`.`or``der`");
        assert_eq!(Dialect::Postgres.quote_table("public.order"), "\"public\".\"order\"");
        assert_eq!(Dialect::Sqlite.quote_table("a\"b"), "\"a\"\"b\"");
    }
}
