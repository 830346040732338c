//! Whole numbers and flags.

use darling::{FromMeta, Result};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Lit, LitBool, Meta};

use super::{error, literal, name, shown};

/// A whole number from `LEAST` to `MOST`.
pub(crate) struct Whole<const LEAST: i64, const MOST: i64 = { i64::MAX }>(i64);

/// A whole number from 1.
pub(crate) type Count = Whole<1>;

/// A whole number from 0.
pub(crate) type Number = Whole<0>;

/// How many key groups there are.
pub(crate) type Groups = Whole<1, 32_768>;

/// How often something is done again.
pub(crate) type Times = Whole<0, { u32::MAX as i64 }>;

/// `true` or `false`.
pub(crate) struct Flag(pub(crate) LitBool);

impl<const LEAST: i64, const MOST: i64> FromMeta for Whole<LEAST, MOST> {
    fn from_meta(item: &Meta) -> Result<Self> {
        let wrong = |literal: &Lit| {
            error(literal, format!("`{}` is no whole number from {LEAST}; write it as 10", shown(literal)))
        };
        let literal = literal(item, "10")?;
        let int = match &literal {
            Lit::Int(int) => int,
            Lit::Str(text) if text.value().parse::<i64>().is_ok() => {
                let plain = text.value();
                return Err(error(text, format!("\"{plain}\" is a text; write the number as {plain}")));
            }
            _ => return Err(wrong(&literal)),
        };
        match int.base10_parse::<i64>() {
            Ok(whole) if (LEAST..=MOST).contains(&whole) => Ok(Self(whole)),
            Ok(0) => Err(error(int, format!("`{}` must be at least 1", name(item)))),
            Ok(whole) if whole < LEAST => Err(wrong(&literal)),
            _ => Err(error(int, format!("`{int}` is too large; the most is {MOST}"))),
        }
    }
}

impl<const LEAST: i64, const MOST: i64> ToTokens for Whole<LEAST, MOST> {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let whole = self.0;
        tokens.extend(quote!(::flare::__private::Literal::Int(#whole)));
    }
}

impl FromMeta for Flag {
    fn from_meta(item: &Meta) -> Result<Self> {
        match literal(item, "true")? {
            Lit::Bool(flag) => Ok(Self(flag)),
            other => {
                let shown = other.to_token_stream();
                Err(error(
                    &other,
                    format!("`{shown}` is neither true nor false; write `{} = true`", name(item)),
                ))
            }
        }
    }
}

impl ToTokens for Flag {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let flag = &self.0;
        tokens.extend(quote!(::flare::__private::Literal::Bool(#flag)));
    }
}
