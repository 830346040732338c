//! `#[jdbc]`.

use darling::error::Accumulator;
use darling::{Error, Result};
use proc_macro2::TokenStream;

use crate::arguments::{Accepted, Argument, Arguments, Setting};
use crate::connector::{self, Connector, parse_sink};
use crate::record::Record;
use crate::values::{Name, Number, OnError, Table, TableMode, Text, error};

pub(crate) const ACCEPTED: Accepted = Accepted {
    owner: "`#[jdbc]`",
    names: &["datasource", "table", "name", "mode", "flush", "batch", "on_error", "retry"],
    hints: &[
        ("parallelism", "write it on the job, `#[flare_job(parallelism = 2)]`"),
        ("source", "write `datasource`, the name of a data source in the configuration"),
        ("url", "write `datasource`, the name of a data source in the configuration, where its URL stands"),
        ("key", "write `#[key]` on the field instead"),
        ("event_time", "a table is written only, and event time is read"),
    ],
};

struct Written {
    name: Option<Argument<Name>>,
    mode: Option<Argument<TableMode>>,
    settings: Vec<Setting>,
}

/// Runs the attribute.
pub(crate) fn run(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut errors = Error::accumulator();
    let record = Record::parse(ACCEPTED.owner, item, &mut errors);
    let written = parse(args, &mut errors);
    let jdbc = check(written, record, &mut errors);
    let jdbc = errors.finish_with(jdbc)?.expect("no errors, so nothing is missing");
    Ok(connector::expand(&jdbc))
}

fn parse(args: TokenStream, errors: &mut Accumulator) -> Written {
    let mut arguments = Arguments::read(&ACCEPTED, args, errors);
    let example = "#[jdbc(datasource = \"dw\", table = \"order_wide\")]";
    arguments.required::<Text>("datasource", example);
    arguments.required::<Table>("table", example);
    arguments.setting::<Number>("batch");
    arguments.setting::<OnError>("on_error");
    parse_sink(&mut arguments);
    Written { name: arguments.take("name"), mode: arguments.setting("mode"), settings: arguments.finish() }
}

fn check(written: Written, record: Option<Record>, errors: &mut Accumulator) -> Option<Connector> {
    let record = record?;
    let mode = written.mode.map_or(Some(TableMode::Upsert), |mode| mode.value);
    if let Some(mode) = mode {
        check_columns(mode, &record, errors);
    }
    Some(Connector {
        kind: "jdbc",
        record,
        name: written.name.and_then(|name| name.value),
        settings: written.settings,
        event_time: None,
        generate: None,
        typed_columns: true,
    })
}

/// Whether the mode finds the columns that it needs.
fn check_columns(mode: TableMode, record: &Record, errors: &mut Accumulator) {
    let ident = &record.ident;
    let mode_name = mode.name();
    if let Some(skipped) = record.keys().find(|field| field.serde.skipped) {
        let message = "a `#[key]` field must be written to the table; remove its `#[serde(skip)]`";
        return errors.push(error(&skipped.ident, message));
    }
    if record.keys().next().is_none() && mode != TableMode::Insert {
        errors.push(error(
            ident,
            format!(
                "`{ident}` has no key, which `mode = \"{mode_name}\"` needs to find a row; \
                 mark a field with `#[key]`, or write `mode = \"insert\"`"
            ),
        ));
    } else if mode == TableMode::Update && record.columns().all(|field| field.key) {
        errors.push(error(
            ident,
            format!("`mode = \"update\"` has nothing to set, since every field of `{ident}` is a `#[key]`; add a field"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;
    use crate::snapshot;

    #[test]
    fn expands_assertions_of_columns() {
        let args =
            quote!(datasource = "dw", table = "order_wide", mode = "update", batch = 500u32, flush = "0s");
        let item = quote! {
            struct Order {
                #[key]
                id: u64,
                r#type: Option<String>,
                #[serde(serialize_with = "as_text")]
                tags: Vec<String>,
            }
        };
        snapshot::check("jdbc_update", connector::attribute(run, args, item));
    }
}
