//! Values by names that the user chooses.

use darling::{Error, FromMeta, Result};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Lit, LitStr, Meta, Token};

use super::{emit, error, name, shown};

/// An offset for each partition: `("0" = 15, "1" = 20)`.
pub(crate) struct Offsets(Vec<Pair>);

/// Texts by name: `("source" = "flare")`.
pub(crate) struct Headers(Vec<Pair>);

/// Settings of a client by name: `("acks" = "all", "batch.size" = 65536)`.
pub(crate) struct Properties(Vec<Pair>);

/// `"name" = value`.
struct Pair {
    name: LitStr,
    value: Lit,
}

impl FromMeta for Offsets {
    fn from_meta(item: &Meta) -> Result<Self> {
        let check = |pair: &Pair| {
            if pair.name.value().parse::<u32>().is_err() {
                let message = format!("`{}` is no partition; write its number as \"0\"", pair.name.value());
                return Err(error(&pair.name, message));
            }
            match &pair.value {
                Lit::Int(int) if int.base10_parse::<i64>().is_ok_and(|offset| offset >= 0) => Ok(()),
                other => {
                    let message = format!("`{}` is no offset; write a whole number from 0", shown(other));
                    Err(error(other, message))
                }
            }
        };
        pairs(item, "(\"0\" = 15, \"1\" = 20)", check).map(Self)
    }
}

impl FromMeta for Headers {
    fn from_meta(item: &Meta) -> Result<Self> {
        let check = |pair: &Pair| match &pair.value {
            Lit::Str(_) => Ok(()),
            other => Err(error(other, format!("`{0}` is no text; write it as \"{0}\"", shown(other)))),
        };
        pairs(item, "(\"source\" = \"flare\")", check).map(Self)
    }
}

impl FromMeta for Properties {
    fn from_meta(item: &Meta) -> Result<Self> {
        let check = |pair: &Pair| match &pair.value {
            Lit::Str(_) | Lit::Bool(_) => Ok(()),
            Lit::Int(int) if int.base10_parse::<i64>().is_ok() => Ok(()),
            other => {
                let shown = shown(other);
                let message =
                    format!("`{shown}` is no text, whole number, true or false; write it as \"{shown}\"");
                Err(error(other, message))
            }
        };
        pairs(item, "(\"fetch.min.bytes\" = 1024)", check).map(Self)
    }
}

macro_rules! emit_table {
    ($($name:ty),*) => { $(
        impl ToTokens for $name {
            fn to_tokens(&self, tokens: &mut TokenStream) {
                let entries = self.0.iter().map(|Pair { name, value }| {
                    let value = emit(value);
                    quote!((#name, #value))
                });
                tokens.extend(quote!(::flare::__private::Literal::Table(&[#(#entries),*])));
            }
        }
    )* };
}

emit_table!(Offsets, Headers, Properties);

/// Reads `name("a" = 1, "b" = 2)` and applies `check` to each pair.
fn pairs(item: &Meta, example: &str, check: impl Fn(&Pair) -> Result<()>) -> Result<Vec<Pair>> {
    let name = name(item);
    let Meta::List(list) = item else {
        return Err(error(item.path(), format!("`{name}` is a list; write `{name}{example}`")));
    };
    let parser = |input: ParseStream<'_>| {
        let name = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Pair { name, value: input.parse()? })
    };
    let parser = |input: ParseStream<'_>| Punctuated::<Pair, Token![,]>::parse_terminated_with(input, parser);
    let pairs = parser.parse2(list.tokens.clone()).map_err(|syntax| {
        let message = format!("a pair is a name in quotes and its value; write `{name}{example}`");
        Error::from(syn::Error::new(syntax.span(), message))
    })?;
    let mut errors = Error::accumulator();
    if pairs.is_empty() {
        errors.push(error(&list.path, format!("`{name}` is empty; write `{name}{example}` or remove it")));
    }
    let mut seen = Vec::new();
    for pair in &pairs {
        errors.handle(check(pair));
        let key = pair.name.value();
        if key.is_empty() {
            errors.push(error(&pair.name, "a name must not be empty"));
        } else if seen.contains(&key) {
            errors.push(error(&pair.name, format!("\"{key}\" is given twice; remove one of the two")));
        }
        seen.push(key);
    }
    errors.finish_with(pairs.into_iter().collect())
}
