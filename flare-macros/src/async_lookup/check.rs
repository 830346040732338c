//! What must be true of a lookup's arguments together.

use darling::error::Accumulator;
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{LitStr, Path};

use super::parse::Written;
use super::sql::parameters;
use crate::arguments::{Argument, Setting, similar};
use crate::record::Record;
use crate::values::{Flag, Function, Name, Strategy, error};

/// The most fields that a key has.
pub(super) const MOST_KEYS: usize = 4;

/// A valid lookup.
pub(super) struct Lookup {
    pub(super) record: Record,
    pub(super) name: Option<Name>,
    /// Whether a data source answers.
    pub(super) jdbc: bool,
    pub(super) default: Option<Fallback>,
    pub(super) settings: Vec<Setting>,
}

/// Where the row for the strategy `default` comes from.
pub(super) enum Fallback {
    /// From the function of the argument `default`.
    Function(Path),
    /// From the row type's `Default`, asked for by the strategy at this place.
    Trait(Span),
}

/// Checks all arguments and the key.
pub(super) fn check(written: Written, record: Option<Record>, errors: &mut Accumulator) -> Option<Lookup> {
    if let Some(record) = &record {
        check_key(record, errors);
        if let Some(below) = &record.lookup_below {
            errors.push(error(below, "a struct is one lookup; remove one of the two `#[async_lookup]`"));
        }
    }
    check_query(&written, record.as_ref(), errors);
    check_refresh(&written, errors);
    Some(Lookup {
        record: record?,
        name: written.name.and_then(|name| name.value),
        jdbc: written.sql.is_some(),
        default: fallback(written.default, &written.strategies),
        settings: written.settings,
    })
}

fn check_key(record: &Record, errors: &mut Accumulator) {
    let ident = &record.ident;
    let mut keys = record.keys();
    if keys.next().is_none() {
        let message = format!("`{ident}` has no key to look it up by; mark a field with `#[key]`");
        errors.push(error(ident, message));
    }
    if let Some(more) = keys.nth(MOST_KEYS - 1) {
        let message = format!("a key has at most {MOST_KEYS} fields; remove this `#[key]`");
        errors.push(error(&more.ident, message));
    }
}

fn check_query(written: &Written, record: Option<&Record>, errors: &mut Accumulator) {
    match (&written.datasource, &written.sql) {
        (Some(datasource), None) => {
            let message = "`datasource` needs `sql`; add `sql = \"SELECT … WHERE id = :id\"`";
            errors.push(error(&datasource.name, message));
        }
        (None, Some(sql)) => {
            let message =
                "`sql` needs `datasource`; add `datasource = \"…\"` with a name from the configuration";
            errors.push(error(&sql.name, message));
        }
        _ => {}
    }
    let sql = written.sql.as_ref().and_then(|sql| sql.value.as_ref());
    if let (Some(sql), Some(record)) = (sql, record) {
        check_parameters(&sql.0, record, errors);
    }
}

/// Whether the query asks by the key: each `#[key]` field once or more, and nothing else.
fn check_parameters(sql: &LitStr, record: &Record, errors: &mut Accumulator) {
    let keys: Vec<String> = record.keys().map(|key| key.ident.unraw().to_string()).collect();
    if keys.is_empty() {
        return;
    }
    let parameters = parameters(&sql.value());
    let (mut misspelt, mut unlike) = (Vec::new(), 0);
    for parameter in parameters.iter().filter(|parameter| !keys.contains(parameter)) {
        let message = match similar(parameter, keys.iter().map(String::as_str)) {
            Some(key) => {
                misspelt.push(key);
                format!("`:{parameter}` names no `#[key]` field; did you mean `:{key}`?")
            }
            None => {
                unlike += 1;
                format!("`:{parameter}` names no `#[key]` field; the key is `:{}`", keys.join("`, `:"))
            }
        };
        errors.push(error(sql, message));
    }
    let missing = keys.iter().filter(|key| !parameters.contains(key) && !misspelt.contains(&key.as_str()));
    // What resembles no key stands in the place of one all the same.
    for key in missing.skip(unlike) {
        let message = format!("the query does not ask by the key `{key}`; write `WHERE {key} = :{key}`");
        errors.push(error(sql, message));
    }
}

fn check_refresh(written: &Written, errors: &mut Accumulator) {
    let preloads = match &written.preload {
        Some(Argument { value: Some(Flag(flag)), .. }) => flag.value,
        // A flag that cannot be read may have been `true`.
        Some(Argument { value: None, .. }) => true,
        None => false,
    };
    if let (Some(refresh), false) = (&written.refresh, preloads) {
        let message =
            "`refresh` says how often preloaded rows are read again; add `preload = true` or remove it";
        errors.push(error(&refresh.name, message));
    }
}

fn fallback(default: Option<Argument<Function>>, strategies: &[Argument<Strategy>]) -> Option<Fallback> {
    if let Some(function) = default.and_then(|default| default.value) {
        return Some(Fallback::Function(function.0));
    }
    let mut strategies = strategies.iter();
    let asked = strategies.find(|strategy| strategy.value == Some(Strategy::Default))?;
    Some(Fallback::Trait(asked.name.span()))
}
