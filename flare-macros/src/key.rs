//! `#[derive(Key)]`.

use darling::error::Accumulator;
use darling::{Error, Result};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, Generics, Token, Variant};

use crate::values::error;

/// A type whose values can be keys.
struct Key<'i> {
    ident: &'i Ident,
    parts: Parts<'i>,
}

/// What a key consists of.
enum Parts<'i> {
    Fields(&'i Fields),
    Variants(&'i Punctuated<Variant, Token![,]>),
}

/// Runs the derive.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    run(item).unwrap_or_else(Error::write_errors)
}

fn run(item: TokenStream) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    let mut errors = Error::accumulator();
    let key = check(&item, &mut errors);
    let key = errors.finish_with(key)?.expect("no errors, so nothing is missing");
    Ok(expand(&key))
}

fn check<'i>(item: &'i DeriveInput, errors: &mut Accumulator) -> Option<Key<'i>> {
    check_generics(&item.generics, errors);
    let parts = match &item.data {
        Data::Struct(data) => Parts::Fields(&data.fields),
        Data::Enum(data) if data.variants.is_empty() => {
            let message = "an enum without variants has no value that could be a key; write at least one";
            errors.push(error(&item.ident, message));
            return None;
        }
        Data::Enum(data) => Parts::Variants(&data.variants),
        Data::Union(data) => {
            let message = "a union does not say what it holds and cannot be a key; write a struct or an enum";
            errors.push(error(&data.union_token, message));
            return None;
        }
    };
    Some(Key { ident: &item.ident, parts })
}

fn check_generics(generics: &Generics, errors: &mut Accumulator) {
    if let Some(borrowed) = generics.lifetimes().next() {
        let message = "a key is remembered and borrows nothing; write an owned type, such as `String`";
        errors.push(error(borrowed, message));
    } else if !generics.params.is_empty() {
        let message =
            "`#[derive(Key)]` cannot read a generic type; write a type for each that it is used with";
        errors.push(error(generics, message));
    }
}

fn expand(key: &Key<'_>) -> TokenStream {
    let Key { ident, parts } = key;
    let hash = match parts {
        Parts::Fields(fields) => {
            let values = fields.members().map(|member| quote!(&self.#member));
            combine(None, hashes(fields, values))
        }
        Parts::Variants(variants) => {
            let arms = variants.iter().zip(0..).map(|(variant, place)| expand_variant(variant, place));
            quote!(match self { #(#arms)* })
        }
    };
    // With the derive's span the compiler's message about what is missing beside it stands there.
    let mut checked = (*ident).clone();
    checked.set_span(Span::call_site());
    quote! {
        impl ::flare::__private::derived_key::DerivedKey for #ident {
            fn hash_parts(&self) -> ::core::primitive::i32 {
                #hash
            }
        }
        const _: () = ::flare::__private::derived_key::check_derives::<#checked>();
    }
}

fn expand_variant(variant: &Variant, place: i32) -> TokenStream {
    let Variant { ident, fields, .. } = variant;
    let names: Vec<_> = (0..fields.len()).map(|index| format_ident!("field_{index}")).collect();
    let members = fields.members();
    let hash = combine(Some(place), hashes(fields, names.iter().map(|name| quote!(#name))));
    quote!(Self::#ident { #(#members: #names),* } => #hash,)
}

fn combine(place: Option<i32>, hashes: impl Iterator<Item = TokenStream>) -> TokenStream {
    let place = place.map(Literal::i32_unsuffixed).map(|place| quote!(#place));
    let parts = place.into_iter().chain(hashes);
    quote!(::flare::__private::derived_key::combine([#(#parts),*]))
}

fn hashes(fields: &Fields, values: impl Iterator<Item = TokenStream>) -> impl Iterator<Item = TokenStream> {
    fields.iter().zip(values).map(|(field, value)| {
        let ty = &field.ty;
        // With the type's span the compiler's message stands at the field.
        quote_spanned!(ty.span()=> ::flare::__private::derived_key::hash_of::<#ty>(#value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot;

    #[test]
    fn expands_fields_in_their_order() {
        let item = quote! {
            struct Place {
                shop: u32,
                r#type: Option<String>,
            }
        };
        snapshot::check("key_struct", derive(item));
    }

    #[test]
    fn expands_variants_with_their_places() {
        let item = quote! {
            enum Contact {
                Nobody,
                User(u64, bool),
                Guest { mail: String },
            }
        };
        snapshot::check("key_enum", derive(item));
    }
}
