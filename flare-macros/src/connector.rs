//! What the attributes of all connectors share: common arguments and the declaration.

use darling::error::Accumulator;
use darling::{Error, Result};
use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Path, Type};

use crate::arguments::{Argument, Arguments, Setting, similar};
use crate::groups::Retry;
use crate::record::{self, Field, Record};
use crate::values::{Delay, Name, OnError, Span, Text, error};

/// Arguments of a struct that is read as records, as written.
pub(crate) struct Source {
    event_time: Option<Argument<Text>>,
    /// Those that mean nothing without it.
    timed: Vec<(&'static str, Ident)>,
}

/// A valid connector attribute.
pub(crate) struct Connector {
    /// `kafka`, `jdbc`, `files` or `generator`.
    pub(crate) kind: &'static str,
    /// The struct below it.
    pub(crate) record: Record,
    /// The argument `name`.
    pub(crate) name: Option<Name>,
    /// The arguments that the declaration carries.
    pub(crate) settings: Vec<Setting>,
    /// Position of the field that `event_time` names.
    pub(crate) event_time: Option<usize>,
    /// The function that makes a generator's records.
    pub(crate) generate: Option<Path>,
    /// Whether every field must be of a column's type.
    pub(crate) typed_columns: bool,
}

/// Runs an attribute: keeps the user's item, whatever is wrong, and adds what `run` makes.
pub(crate) fn attribute(
    run: fn(TokenStream, TokenStream) -> Result<TokenStream>,
    args: TokenStream,
    item: TokenStream,
) -> TokenStream {
    let code = run(args, item.clone()).unwrap_or_else(Error::write_errors);
    // Also beside errors, so that the job which uses the record is not blamed for them.
    let connected = record::last_connected(item.clone())
        .map(|ident| quote!(impl ::flare::__private::Connected for #ident {}));
    let item = record::kept(item);
    quote!(#item #connected #code)
}

impl Source {
    /// Takes what every source takes beside `batch`.
    pub(crate) fn parse(arguments: &mut Arguments<'_>) -> Self {
        let event_time = arguments.take("event_time");
        let late = arguments.setting::<Delay>("out_of_orderness");
        let idle = arguments.setting::<Span>("idle_after");
        let drift = arguments.setting::<Span>("max_drift");
        let late = late.map(|argument| ("out_of_orderness", argument.name));
        let idle = idle.map(|argument| ("idle_after", argument.name));
        let drift = drift.map(|argument| ("max_drift", argument.name));
        arguments.setting::<OnError>("on_error");
        Self { event_time, timed: late.into_iter().chain(idle).chain(drift).collect() }
    }

    /// The position of the field with the event time.
    pub(crate) fn check(&self, record: Option<&Record>, errors: &mut Accumulator) -> Option<usize> {
        if self.event_time.is_none() {
            for (name, written) in &self.timed {
                let message =
                    format!("`{name}` needs `event_time`; add `event_time = \"…\"` with the field's name");
                errors.push(error(written, message));
            }
        }
        let field = self.event_time.as_ref()?.value.as_ref()?;
        let fields = &record?.fields;
        let name = field.0.value();
        let position = fields.iter().position(|field| field.ident.unraw() == name);
        if position.is_none() {
            errors.push(error(&field.0, unknown_field(&name, record?)));
        }
        position
    }
}

/// Takes what a sink takes beside `batch` and `on_error`.
pub(crate) fn parse_sink(arguments: &mut Arguments<'_>) {
    arguments.setting::<Delay>("flush");
    arguments.setting::<Retry>("retry");
}

/// Says that `record` has no field `name`, and which there are.
pub(crate) fn unknown_field(name: &str, record: &Record) -> String {
    let ident = &record.ident;
    let names: Vec<String> = record.fields.iter().map(|field| field.ident.unraw().to_string()).collect();
    let serialized = record.fields.iter().position(|field| field.serde.name == name);
    let meant = match serialized {
        Some(position) => Some(names[position].as_str()),
        None => similar(name, names.iter().map(String::as_str)),
    };
    match meant {
        Some(meant) => format!("`{ident}` has no field `{name}`; did you mean `{meant}`?"),
        None => format!("`{ident}` has no field `{name}`; its fields are `{}`", names.join("`, `")),
    }
}

/// Emits the declaration.
pub(crate) fn expand(connector: &Connector) -> TokenStream {
    let Connector { kind, record, settings, .. } = connector;
    let ident = &record.ident;
    let type_name = ident.unraw().to_string();
    let name = connector.name.as_ref().map_or_else(|| type_name.clone(), |name| name.0.value());
    let event_time = optional(connector.event_time.map(|at| event_time(record, &record.fields[at])));
    let generate = optional(connector.generate.as_ref().map(|function| generate(record, function)));
    let schema = record::schema(record);
    let assertions = connector.typed_columns.then(|| assert_columns(record));
    quote! {
        ::flare::__private::inventory::submit! {
            ::flare::__private::ConnectorDeclaration {
                name: #name,
                connector: #kind,
                type_name: #type_name,
                type_id: ::core::any::TypeId::of::<#ident>,
                arguments: &[#(#settings),*],
                schema: #schema,
                event_time: #event_time,
                generate: #generate,
                place: ::flare::__private::Place { file: ::core::file!(), line: ::core::line!() },
            }
        }
        #assertions
    }
}

/// `Some(value)` or `None` as code.
pub(crate) fn optional(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

/// A function of type `ty`, made where it is asked for, behind `dyn Any`.
pub(crate) fn erased(ty: &TokenStream, function: &TokenStream) -> TokenStream {
    quote! {
        || {
            let function: #ty = #function;
            ::std::boxed::Box::new(function)
        }
    }
}

fn event_time(record: &Record, field: &Field) -> TokenStream {
    let Record { ident, .. } = record;
    let Field { ident: name, ty, .. } = field;
    // With the type's span the compiler's message stands at the field.
    let read = quote_spanned!(ty.span()=> <#ty as ::flare::__private::EventTime>::event_time(&record.#name));
    erased(&quote!(::flare::__private::EventTimeOf<#ident>), &quote!(|record| #read))
}

fn generate(record: &Record, function: &Path) -> TokenStream {
    let Record { ident, .. } = record;
    erased(&quote!(::flare::__private::Generate<#ident>), &quote!(#function))
}

fn assert_columns(record: &Record) -> TokenStream {
    let columns = record.columns().filter(|field| !field.serde.converted);
    let assertions = columns.map(|Field { ty, cfgs, .. }| {
        let ty: &Type = ty;
        quote_spanned!(ty.span()=> #(#cfgs)* ::flare::__private::assert_column::<#ty>();)
    });
    quote! {
        const _: fn() = || { #(#assertions)* };
    }
}
