//! What `#[async_lookup]` emits.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;

use super::check::{Fallback, Lookup};
use crate::connector::{erased, optional};
use crate::record::{self, Record};

/// The traits of a row with at least one key.
pub(super) fn row(record: &Record) -> TokenStream {
    let ident = &record.ident;
    let types: Vec<_> = record.keys().map(|key| &key.ty).collect();
    let clones = record.keys().map(|key| {
        let field = &key.ident;
        quote!(::core::clone::Clone::clone(&self.#field))
    });
    let clones: Vec<_> = clones.collect();
    let (key, value) = match (types.as_slice(), clones.as_slice()) {
        ([ty], [clone]) => (quote!(#ty), quote!(#clone)),
        _ => (quote!((#(#types),*)), quote!((#(#clones),*))),
    };
    quote! {
        impl ::flare::__private::LookupRow for #ident {
            type Key = #key;

            fn key(&self) -> #key {
                #value
            }
        }
    }
}

/// The declaration.
pub(super) fn declaration(lookup: &Lookup) -> TokenStream {
    let Lookup { record, settings, .. } = lookup;
    let ident = &record.ident;
    let type_name = ident.unraw().to_string();
    let name = lookup.name.as_ref().map_or_else(|| type_name.clone(), |name| name.0.value());
    let connector = optional(lookup.jdbc.then(|| quote!("jdbc")));
    let default = optional(lookup.default.as_ref().map(|fallback| default(record, fallback)));
    let schema = record::lookup_schema(record);
    quote! {
        ::flare::__private::inventory::submit! {
            ::flare::__private::LookupDeclaration {
                name: #name,
                connector: #connector,
                type_name: #type_name,
                type_id: ::core::any::TypeId::of::<#ident>,
                arguments: &[#(#settings),*],
                schema: #schema,
                default: #default,
                place: ::flare::__private::Place { file: ::core::file!(), line: ::core::line!() },
            }
        }
    }
}

fn default(record: &Record, fallback: &Fallback) -> TokenStream {
    let ident = &record.ident;
    let function = match fallback {
        Fallback::Function(path) => quote!(#path),
        Fallback::Trait(span) => quote_spanned!(*span=> ::core::default::Default::default),
    };
    erased(&quote!(fn() -> #ident), &function)
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use crate::async_lookup::attribute;
    use crate::snapshot;

    #[test]
    fn expands_a_key_of_one_field() {
        let args = quote!(
            datasource = "dw",
            sql = "SELECT * FROM users WHERE id = :id",
            cache(capacity = 10_000, ttl = "10m"),
            on_miss = "default",
        );
        let item = quote! {
            #[derive(Clone, Default, FromRow)]
            struct User {
                #[key]
                id: u64,
                #[column(name = "user_name")]
                name: String,
            }
        };
        snapshot::check("lookup_by_one_field", attribute(args, item));
    }

    #[test]
    fn expands_a_key_of_two_fields() {
        let args = quote!(name = "rates", default = Rate::none, preload = true, refresh = "1h");
        let item = quote! {
            struct Rate {
                #[key]
                from: String,
                #[key]
                to: String,
                rate: f64,
            }
        };
        snapshot::check("lookup_by_two_fields", attribute(args, item));
    }

    #[test]
    fn keeps_the_traits_beside_errors() {
        let item = quote! {
            struct User {
                #[key]
                id: u64,
            }
        };
        snapshot::check("lookup_error", attribute(quote!(timeout = 5), item));
    }
}
