//! Settings of datasources, sinks and lookups.

use std::fmt;
use std::time::Duration;

use toml::Value;

use super::Datasource;
use super::dialect::Dialect;
use crate::api::Opening;
use crate::config::{SettingValue, choices, settings};
use crate::model::Secret;

settings! {
    /// A database and the pool of connections to it, shared by everything in the job that names it.
    pub struct DatasourceSettings {
        /// Where the database is: `mysql://host:port/database`, `postgres://host:port/database` or `sqlite:path`.
        url: DatabaseUrl,
        /// The user; goes before the url's.
        username: Option<String>,
        /// The user's password; goes before the url's.
        password: Option<Secret>,
        /// How many connections there may be at the same time, all subtasks together.
        max_connections: usize [from 1] = "8",
        /// How long connecting may take.
        connect_timeout: Duration [above "0s"] = "10s",
        /// After which time without use a connection is closed.
        idle_timeout: Duration = "10m",
        /// How long one statement may take; without it, as long as the server allows.
        statement_timeout: Option<Duration> [above "0s"],
        /// Path of a file of SQL statements that run once, before the datasource is first used.
        init_sql: Option<String>,
    }
}

choices! {
    /// What a sink does with a row.
    pub enum Mode {
        /// Inserts the row, or updates the row of the same key.
        Upsert = "upsert",
        /// Inserts the row; a key that is there already makes it a bad record.
        Insert = "insert",
        /// Updates the row of the same key, if there is one.
        Update = "update",
        /// Deletes the row of the same key, if there is one.
        Delete = "delete",
    }
}

settings! {
    /// A sink that writes rows into a table.
    pub struct SinkSettings {
        /// The datasource to write to: the NAME of a section `[datasource.NAME]`.
        datasource: String,
        /// The table, as `table` or `schema.table`.
        table: String,
        /// What to do with a row: `upsert`, `insert`, `update` or `delete`.
        mode: Mode = "upsert",
    }
}

settings! {
    /// A lookup that finds rows by a query.
    pub struct LookupSettings {
        /// The datasource to ask: the NAME of a section `[datasource.NAME]`.
        datasource: String,
        /// The query for one key; `:field` stands for a key field.
        sql: String,
    }
}

/// A database's url; a password in it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Wraps a url.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The url with its password, for the client.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// The dialect that the url's scheme stands for.
    pub(super) fn dialect(&self) -> Option<Dialect> {
        let (scheme, _) = self.0.split_once(':')?;
        match scheme {
            "mysql" | "mariadb" => Some(Dialect::MySql),
            "postgres" | "postgresql" => Some(Dialect::Postgres),
            "sqlite" => Some(Dialect::Sqlite),
            _ => None,
        }
    }
}

impl fmt::Display for DatabaseUrl {
    /// Hides whatever may be a password, rather too much than too little: unescaped passwords may hold any character.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            let scheme = self.0.split_once(':').map(|(scheme, _)| scheme);
            return f.write_str(if scheme == Some("sqlite") { &self.0 } else { "******" });
        };
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        write!(f, "{scheme}://")?;
        if let Some(user) = user {
            match user.split_once(':') {
                Some((user, _)) => write!(f, "{user}:******@")?,
                None => write!(f, "{user}@")?,
            }
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        f.write_str(place)?;
        for (index, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = if name.contains("pass") { "******" } else { value };
            write!(f, "{}{name}={value}", if index == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SettingValue for DatabaseUrl {
    const TYPE: &'static str = "url";

    fn parse(value: &Value) -> Result<Self, String> {
        let how = "write it as mysql://host:port/database, postgres://host:port/database or sqlite:path";
        let url = Self::new(value.as_str().ok_or_else(|| format!("a url is a text; {how}"))?);
        match url.dialect() {
            Some(_) => Ok(url),
            None => Err(format!("the url is of no known database; {how}")),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// The datasource called `name`, made at its first use in the job; problems are added to `opening.problems`.
pub(crate) fn datasource(opening: &mut Opening<'_>, name: &str) -> Option<Datasource> {
    let resources = opening.resources;
    let made = resources.get_or_make("datasource", name, || {
        let path = format!("datasource.{name}");
        let settings = opening.section::<DatasourceSettings>(&path).ok_or(())?;
        let base = opening.config.base().to_owned();
        Datasource::open(name, &settings, &base).map_err(|error| {
            opening.problems.add_error("bad-datasource", path, &error);
        })
    });
    let made = made.ok().map(|datasource| Datasource::clone(&datasource))?;
    let closing = made.clone();
    resources.at_end("datasource", name, Box::pin(async move { closing.close().await }));
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shows_a_password() {
        let shown = |url: &str| format!("{:?}", DatabaseUrl::new(url));
        assert_eq!(shown("mysql://me:secret@host:1/db"), "mysql://me:******@host:1/db");
        assert_eq!(shown("mysql://me:se/cr@e?t@host/db"), "mysql://me:******@host/db");
        assert_eq!(shown("postgres://me@host/db?sslmode=require"), "postgres://me@host/db?sslmode=require");
        assert_eq!(shown("postgres:///db?user=me&password=secret"), "postgres:///db?user=me&password=******");
        assert_eq!(shown("sqlite:data/users.db"), "sqlite:data/users.db");
        assert_eq!(shown("mysql:me:secret@host"), "******");
    }
}
