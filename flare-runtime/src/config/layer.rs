//! The layers that configuration comes from, and where a value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::error::{Error, ErrorKind, Result};

/// A place in the user's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as the compiler names it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
}

impl Place {
    /// The caller's place.
    #[track_caller]
    pub fn here() -> Self {
        let caller = std::panic::Location::caller();
        Self { file: caller.file(), line: caller.line() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The declaration's default.
    Default,
    /// An attribute in the user's source.
    Attribute(Place),
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// The command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Attribute(place) => write!(f, "attribute at {place}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// A value written in an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Literal {
    /// A text.
    Text(&'static str),
    /// A whole number.
    Int(i64),
    /// A decimal number.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// Named values: `properties("acks" = "all")`.
    Table(&'static [(&'static str, Literal)]),
}

/// As configuration would write it, without quotes.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_value() {
            Value::String(text) => f.write_str(&text),
            value => write!(f, "{value}"),
        }
    }
}

impl Literal {
    fn to_value(self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.to_owned()),
            Self::Int(int) => Value::Integer(int),
            Self::Float(float) => Value::Float(float),
            Self::Bool(flag) => Value::Boolean(flag),
            Self::Table(entries) => Value::Table(table(entries)),
        }
    }
}

fn table(entries: &[(&str, Literal)]) -> Table {
    let pairs = entries.iter().map(|(name, value)| ((*name).to_owned(), value.to_value()));
    pairs.collect()
}

/// Values from one place.
#[derive(Clone)]
pub struct Layer {
    pub(crate) origin: Origin,
    pub(crate) values: Table,
}

/// Without the values: what is secret is known only to the declaration that reads it.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Layer {
    /// What an attribute's arguments say, for one section.
    pub fn attribute(place: Place, arguments: &[(&str, Literal)]) -> Self {
        Self { origin: Origin::Attribute(place), values: table(arguments) }
    }

    /// What counts where nothing is configured.
    pub fn defaults(values: &[(&str, Literal)]) -> Self {
        Self { origin: Origin::Default, values: table(values) }
    }

    /// A configuration file's content.
    ///
    /// # Errors
    /// `Config` when the file cannot be read or is no TOML, with line and column.
    pub fn file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::new(ErrorKind::Config, "the configuration file cannot be read")
                .with("file", path.display())
                .caused_by(error)
        })?;
        Self::text(path, &text)
    }

    /// As [`Layer::file`], with the content given.
    ///
    /// # Errors
    /// `Config` when the text is no TOML.
    pub fn text(path: &Path, text: &str) -> Result<Self> {
        let values = text.parse().map_err(|error: toml::de::Error| {
            // Not the error itself: it shows the line, in which a password may stand.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            Error::new(ErrorKind::Config, "the configuration file is no valid TOML")
                .with("file", path.display())
                .with("line", before.matches('\n').count() + 1)
                .with("column", column)
                .caused_by(error.message().trim_end())
        })?;
        Ok(Self { origin: Origin::File(path.to_owned()), values })
    }

    /// `KEY=VALUE` settings of the command line; a value may contain `=`.
    ///
    /// # Errors
    /// `Config` when one has no `=`, or names both a value and a section.
    pub fn command_line(settings: &[String]) -> Result<Self> {
        let mut values = Table::new();
        for setting in settings {
            let (key, value) = setting.split_once('=').ok_or_else(|| {
                Error::new(ErrorKind::Config, "write a setting as KEY=VALUE").with("argument", setting)
            })?;
            insert(&mut values, key.trim(), value).ok_or_else(|| {
                Error::new(ErrorKind::Config, "the key is a section and a value at once").with("key", key)
            })?;
        }
        Ok(Self { origin: Origin::CommandLine, values })
    }
}

fn insert(table: &mut Table, key: &str, value: &str) -> Option<()> {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), Value::String(value.to_owned()));
            Some(())
        }
        Some((head, rest)) => {
            let inner = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
            insert(inner.as_table_mut()?, rest, value)
        }
    }
}

/// Flare's variables of an environment, by name.
pub(crate) fn environment(variables: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    variables.filter(|(name, _)| name.starts_with("FLARE_")).collect()
}

/// The variable that sets `section.name`: `FLARE_SOURCE_ORDER_TOPIC` for `source.Order.topic`.
pub(crate) fn variable(section: &str, name: &str) -> String {
    let key = format!("FLARE_{section}_{name}");
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
