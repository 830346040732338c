//! Names and other texts.

use darling::{FromMeta, Result};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Lit, LitStr, Meta};

use super::{error, literal, name, shown};

/// A text that is not empty.
pub(crate) struct Text(pub(crate) LitStr);

/// The name of a job or a declaration.
pub(crate) struct Name(pub(crate) LitStr);

/// The name of a Kafka topic.
pub(crate) struct Topic(LitStr);

/// A table, with or without its schema.
pub(crate) struct Table(LitStr);

impl FromMeta for Text {
    fn from_meta(item: &Meta) -> Result<Self> {
        let text = text(item, "\"…\"")?;
        match text.value().trim() {
            "" => Err(error(&text, format!("`{}` must not be empty", name(item)))),
            _ => Ok(Self(text)),
        }
    }
}

impl FromMeta for Name {
    fn from_meta(item: &Meta) -> Result<Self> {
        let text = text(item, "\"order-wide\"")?;
        match text.value().as_str() {
            "" => Err(error(&text, "a name must not be empty")),
            value => match value.chars().find(|c| !is_name(*c)) {
                Some(c) => Err(error(
                    &text,
                    format!("`{c}` cannot stand in a name; use letters, digits, `-`, `_` and `.`"),
                )),
                None => Ok(Self(text)),
            },
        }
    }
}

impl FromMeta for Topic {
    fn from_meta(item: &Meta) -> Result<Self> {
        let text = text(item, "\"orders\"")?;
        let value = text.value();
        let problem = match value.as_str() {
            "" => "a topic's name must not be empty".to_owned(),
            "." | ".." => format!("Kafka has no topic `{value}`; use letters, digits, `.`, `_` and `-`"),
            _ if value.len() > 249 => {
                format!("a topic's name has at most 249 characters; this one has {}", value.len())
            }
            _ => match value.chars().find(|c| !is_name(*c)) {
                Some(c) => {
                    format!("`{c}` cannot stand in a topic's name; use letters, digits, `.`, `_` and `-`")
                }
                None => return Ok(Self(text)),
            },
        };
        Err(error(&text, problem))
    }
}

impl FromMeta for Table {
    fn from_meta(item: &Meta) -> Result<Self> {
        let text = text(item, "\"order_wide\"")?;
        let value = text.value();
        if value.split('.').count() <= 2 && value.split('.').all(is_identifier) {
            return Ok(Self(text));
        }
        let message = format!("`{value}` is no table; write it as \"order_wide\" or \"dw.order_wide\"");
        Err(error(&text, message))
    }
}

macro_rules! emit {
    ($($name:ty),*) => { $(
        impl ToTokens for $name {
            fn to_tokens(&self, tokens: &mut TokenStream) {
                let text = &self.0;
                tokens.extend(quote!(::flare::__private::Literal::Text(#text)));
            }
        }
    )* };
}

emit!(Text, Name, Topic, Table);

fn text(item: &Meta, example: &str) -> Result<LitStr> {
    match literal(item, example)? {
        Lit::Str(text) => Ok(text),
        other => {
            let message = format!("`{}` is no text; write `{} = {example}`", shown(&other), name(item));
            Err(error(&other, message))
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Whether a database takes `text` as a name without quotes.
fn is_identifier(text: &str) -> bool {
    let letter = |c: char| c.is_alphabetic() || c == '_';
    text.starts_with(letter) && text.chars().all(|c| letter(c) || c.is_numeric() || c == '$')
}
