//! The procedural macros of Flare; use them through the crate `flare`, where each has its page.

#[cfg(test)]
mod agreement;
mod arguments;
mod async_lookup;
mod connector;
mod files;
mod flare_job;
mod from_row;
mod generator;
mod groups;
mod jdbc;
mod kafka;
mod key;
mod record;
mod serde_names;
#[cfg(test)]
mod snapshot;
mod values;

use proc_macro::TokenStream;

/// Declares a job.
#[proc_macro_attribute]
pub fn flare_job(args: TokenStream, item: TokenStream) -> TokenStream {
    flare_job::attribute(args.into(), item.into()).into()
}

/// Binds a struct to a Kafka topic.
#[proc_macro_attribute]
pub fn kafka(args: TokenStream, item: TokenStream) -> TokenStream {
    connector::attribute(kafka::run, args.into(), item.into()).into()
}

/// Binds a struct to a table of a database.
#[proc_macro_attribute]
pub fn jdbc(args: TokenStream, item: TokenStream) -> TokenStream {
    connector::attribute(jdbc::run, args.into(), item.into()).into()
}

/// Binds a struct to files.
#[proc_macro_attribute]
pub fn files(args: TokenStream, item: TokenStream) -> TokenStream {
    connector::attribute(files::run, args.into(), item.into()).into()
}

/// Binds a struct to a function that makes its records.
#[proc_macro_attribute]
pub fn generator(args: TokenStream, item: TokenStream) -> TokenStream {
    connector::attribute(generator::run, args.into(), item.into()).into()
}

/// Makes a struct a dimension row that streams look up by its key.
#[proc_macro_attribute]
pub fn async_lookup(args: TokenStream, item: TokenStream) -> TokenStream {
    async_lookup::attribute(args.into(), item.into()).into()
}

/// Reads a struct from a row of a database.
#[proc_macro_derive(FromRow, attributes(key, column))]
pub fn from_row(item: TokenStream) -> TokenStream {
    from_row::derive(item.into()).into()
}

/// Makes a struct or an enum usable as the key of a stream.
#[proc_macro_derive(Key)]
pub fn key(item: TokenStream) -> TokenStream {
    key::derive(item.into()).into()
}
