//! Argument types with a rule of their own, and what each says when it is broken.

mod choices;
mod function;
mod numbers;
mod tables;
mod texts;
mod times;

use std::fmt::Display;

use darling::{Error, Result};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Expr, Lit, LitInt, Meta};

pub(crate) use choices::{
    Compression, End, FileMode, Format, OnError, Order, Partitioner, Start, Strategy, TableMode,
};
pub(crate) use function::Function;
pub(crate) use numbers::{Count, Flag, Groups, Number, Times};
pub(crate) use tables::{Headers, Offsets, Properties};
pub(crate) use texts::{Name, Table, Text, Topic};
pub(crate) use times::{Delay, DeliveryTimeout, Instant, Linger, Span};

/// An error at `place`.
pub(crate) fn error(place: &impl ToTokens, message: impl Display) -> Error {
    // A place of several tokens is shown at its first one, so that the message stands at what to change.
    Error::from(syn::Error::new_spanned(place, message))
}

/// The argument's name.
pub(crate) fn name(item: &Meta) -> String {
    item.path().to_token_stream().to_string().replace(' ', "")
}

/// The value of `name = value`.
fn value<'m>(item: &'m Meta, example: &str) -> Result<&'m Expr> {
    let name = name(item);
    match item {
        Meta::NameValue(pair) => Ok(ungroup(&pair.value)),
        Meta::Path(path) => Err(error(path, format!("`{name}` needs a value; write `{name} = {example}`"))),
        Meta::List(list) => {
            let message = format!("`{name}` takes one value, not a list; write `{name} = {example}`");
            Err(error(&list.path, message))
        }
    }
}

/// The literal of `name = literal`.
fn literal(item: &Meta, example: &str) -> Result<Lit> {
    let value = value(item, example)?;
    let literal = match value {
        Expr::Lit(lit) => Some(lit.lit.clone()),
        // A negative number.
        Expr::Unary(unary) => syn::parse2(unary.to_token_stream()).ok(),
        Expr::Path(path) if path.path.get_ident().is_some() && example.starts_with('"') => {
            let word = path.to_token_stream();
            let message = format!("`{word}` is no text; write it in quotes: `{} = \"{word}\"`", name(item));
            return Err(error(value, message));
        }
        _ => None,
    };
    literal.ok_or_else(|| {
        let name = name(item);
        error(value, format!("`{name}` must be a literal; write `{name} = {example}`"))
    })
}

/// A checked literal as the declaration carries it.
fn emit(literal: &Lit) -> TokenStream {
    let kind = match literal {
        Lit::Int(int) => {
            // Without the suffix that the user may have written.
            let int = LitInt::new(int.base10_digits(), int.span());
            quote!(Int(#int))
        }
        Lit::Bool(flag) => quote!(Bool(#flag)),
        other => quote!(Text(#other)),
    };
    quote!(::flare::__private::Literal::#kind)
}

/// The literal as a message shows it.
fn shown(literal: &Lit) -> String {
    match literal {
        Lit::Str(text) => text.value(),
        other => other.to_token_stream().to_string().replace(' ', ""),
    }
}

/// Without the invisible brackets that `macro_rules!` adds.
fn ungroup(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => ungroup(&group.expr),
        other => other,
    }
}
