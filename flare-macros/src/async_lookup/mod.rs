//! `#[async_lookup]`.

mod check;
mod expand;
pub(crate) mod parse;
mod sql;

use darling::{Error, Result};
use proc_macro2::TokenStream;
use quote::quote;

use crate::record::{self, Record};

/// How messages call the attribute.
const OWNER: &str = "`#[async_lookup]`";

/// Runs the attribute: keeps the user's item, whatever is wrong, and adds the lookup.
pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let code = run(args, item.clone()).unwrap_or_else(Error::write_errors);
    let row = row(item.clone());
    let item = record::kept(item);
    quote!(#item #row #code)
}

fn run(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut errors = Error::accumulator();
    let record = Record::parse(OWNER, item, &mut errors);
    let written = parse::parse(args, &mut errors);
    let lookup = check::check(written, record, &mut errors);
    let lookup = errors.finish_with(lookup)?.expect("no errors, so nothing is missing");
    Ok(expand::declaration(&lookup))
}

/// The row's traits; also beside errors, so that the job which uses the row is not blamed for them.
fn row(item: TokenStream) -> Option<TokenStream> {
    let mut reported_elsewhere = Error::accumulator();
    let record = Record::parse(OWNER, item, &mut reported_elsewhere);
    drop(reported_elsewhere.into_inner());
    let valid = |record: &Record| {
        record.lookup_below.is_none() && (1..=check::MOST_KEYS).contains(&record.keys().count())
    };
    record.filter(valid).map(|record| expand::row(&record))
}
