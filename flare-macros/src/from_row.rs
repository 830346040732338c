//! `#[derive(FromRow)]`.

use darling::{Error, Result};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::DeriveInput;
use syn::spanned::Spanned;

use crate::record::{Field, Record};

const OWNER: &str = "`#[derive(FromRow)]`";

/// Runs the derive.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    run(item.clone()).unwrap_or_else(|error| {
        let errors = error.write_errors();
        let row = unreadable(item);
        quote!(#row #errors)
    })
}

fn run(item: TokenStream) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    let mut errors = Error::accumulator();
    let record = Record::read(OWNER, &item, &mut errors);
    let record = errors.handle(record);
    let record = errors.finish_with(record)?.expect("no errors, so nothing is missing");
    Ok(expand(&record))
}

fn expand(record: &Record) -> TokenStream {
    let ident = &record.ident;
    let fields = record.fields.iter().map(|Field { ident, ty, column, cfgs, .. }| {
        // With the type's span the compiler's message stands at the field.
        let read = quote_spanned!(ty.span()=> ::flare::__private::column::<#ty>(row, #column));
        quote!(#(#cfgs)* #ident: #read?)
    });
    quote! {
        impl ::flare::__private::FromRow for #ident {
            fn from_row(row: &::flare::__private::Row) -> ::flare::__private::Result<Self> {
                ::core::result::Result::Ok(Self { #(#fields),* })
            }
        }
    }
}

/// The trait without its meaning: beside errors, so that the lookup which needs it is not blamed for them.
fn unreadable(item: TokenStream) -> Option<TokenStream> {
    let item: DeriveInput = syn::parse2(item).ok()?;
    let ident = &item.ident;
    let (generics, parameters, bounds) = item.generics.split_for_impl();
    Some(quote! {
        impl #generics ::flare::__private::FromRow for #ident #parameters #bounds {
            fn from_row(_: &::flare::__private::Row) -> ::flare::__private::Result<Self> {
                ::core::unreachable!()
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;
    use crate::snapshot;

    #[test]
    fn expands_columns_by_name() {
        let item = quote! {
            struct User {
                #[key]
                id: u64,
                #[column(name = "user_name")]
                name: Option<String>,
                r#type: String,
            }
        };
        snapshot::check("from_row", derive(item));
    }

    #[test]
    fn stays_readable_beside_errors() {
        snapshot::check(
            "from_row_error",
            derive(quote!(
                enum User {
                    Known,
                }
            )),
        );
    }
}
