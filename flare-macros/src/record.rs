//! The user's struct: its fields as columns, and the attributes on them.

use darling::error::Accumulator;
use darling::{Error, Result};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Field as SynField, Fields, Meta, Path, Token, Type};

use crate::arguments::{Accepted, Arguments};
use crate::serde_names::{Container, Spelling};
use crate::values::{Text, error};

/// The attributes that bind a struct to a connector.
const CONNECTORS: &[&str] = &["kafka", "jdbc", "files", "generator"];

/// A struct with named fields and no parameters.
pub(crate) struct Record {
    /// The struct's name.
    pub(crate) ident: Ident,
    /// All its fields in order.
    pub(crate) fields: Vec<Field>,
    /// Another `#[async_lookup]` below.
    pub(crate) lookup_below: Option<Path>,
}

/// One field.
pub(crate) struct Field {
    /// The field's name.
    pub(crate) ident: Ident,
    /// Its type.
    pub(crate) ty: Type,
    /// Its column: `#[column(name = "…")]`, else its own name.
    pub(crate) column: String,
    /// Whether it has `#[key]`.
    pub(crate) key: bool,
    /// How serde writes it.
    pub(crate) serde: Spelling,
    /// Its `#[cfg(…)]` attributes, which are not yet decided when an attribute runs.
    pub(crate) cfgs: Vec<Attribute>,
}

impl Record {
    /// Reads the item below the attribute `owner`.
    pub(crate) fn parse(owner: &str, item: TokenStream, errors: &mut Accumulator) -> Option<Self> {
        let Ok(parsed) = syn::parse2::<DeriveInput>(item.clone()) else {
            errors.push(error(&item, format!("{owner} belongs on a struct with named fields")));
            return None;
        };
        let mut on_fields = Error::accumulator();
        let record = Self::read(owner, &parsed, &mut on_fields);
        // The last of all that read the fields' attributes reports them, so that each mistake is told once.
        let on_fields = on_fields.into_inner();
        if is_last(&parsed.attrs) && !derives_from_row(&parsed.attrs) {
            errors.extend(on_fields);
        }
        errors.handle(record)
    }

    /// Reads `item`; what is wrong with attributes of fields goes to `on_fields`.
    pub(crate) fn read(owner: &str, item: &DeriveInput, on_fields: &mut Accumulator) -> Result<Self> {
        let fields = named_fields(owner, item)?;
        let container = Container::read(&item.attrs);
        let mut read: Vec<Field> = Vec::new();
        for (ident, field) in fields.iter().filter_map(|field| Some((field.ident.as_ref()?, field))) {
            let (key, column) = helpers(field, on_fields);
            let name = ident.unraw().to_string();
            let column = column.unwrap_or_else(|| name.clone());
            if let Some(other) = read.iter().find(|other| other.column == column) {
                let message = format!("the column `{column}` is already that of the field `{}`", other.ident);
                on_fields.push(error(ident, message));
            }
            read.push(Field {
                ident: ident.clone(),
                ty: field.ty.clone(),
                column,
                key,
                serde: container.spell(&name, &field.attrs),
                cfgs: field.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).cloned().collect(),
            });
        }
        Ok(Self { ident: item.ident.clone(), fields: read, lookup_below: lookup(&item.attrs) })
    }

    /// The fields with `#[key]`.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.key)
    }

    /// The fields that serde writes.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| !field.serde.skipped)
    }
}

/// The columns of a record as serde writes it.
pub(crate) fn schema(record: &Record) -> TokenStream {
    columns(record.columns().map(|field| (field, field.serde.name.clone())))
}

/// The columns of a row that a query fills: all fields, whatever serde would do with them.
pub(crate) fn lookup_schema(record: &Record) -> TokenStream {
    columns(record.fields.iter().map(|field| (field, field.ident.unraw().to_string())))
}

fn columns<'f>(fields: impl Iterator<Item = (&'f Field, String)>) -> TokenStream {
    let columns = fields.map(|(Field { column, key, cfgs, .. }, name)| {
        quote! {
            #(#cfgs)*
            ::flare::__private::Column { field: #name, name: #column, key: #key }
        }
    });
    quote!(::flare::__private::RowSchema { columns: &[#(#columns),*] })
}

/// The user's item without the attributes of fields that nothing below reads.
pub(crate) fn kept(item: TokenStream) -> TokenStream {
    let Ok(mut kept) = syn::parse2::<DeriveInput>(item.clone()) else {
        return item;
    };
    if !is_last(&kept.attrs) || derives_from_row(&kept.attrs) {
        return item;
    }
    if let Data::Struct(data) = &mut kept.data {
        let fields = data.fields.iter_mut();
        fields.for_each(|field| field.attrs.retain(|attr| !is_helper(attr)));
    }
    kept.into_token_stream()
}

/// The name of the item, if no other connector attribute stands below.
pub(crate) fn last_connected(item: TokenStream) -> Option<Ident> {
    let item = syn::parse2::<DeriveInput>(item).ok()?;
    let last = !item.attrs.iter().any(|attr| ends_with(attr.path(), CONNECTORS));
    (last && item.generics.params.is_empty()).then_some(item.ident)
}

fn lookup(attrs: &[Attribute]) -> Option<Path> {
    attrs.iter().map(Attribute::path).find(|path| ends_with(path, &["async_lookup"])).cloned()
}

/// Whether no attribute of Flare stands below.
fn is_last(attrs: &[Attribute]) -> bool {
    let flare =
        |attr: &Attribute| ends_with(attr.path(), CONNECTORS) || ends_with(attr.path(), &["async_lookup"]);
    !attrs.iter().any(flare)
}

fn derives_from_row(attrs: &[Attribute]) -> bool {
    let derives = attrs.iter().filter(|attr| attr.path().is_ident("derive"));
    let paths = derives
        .filter_map(|attr| attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok())
        .flatten();
    // `sqlx::FromRow` and the like are not ours.
    let ours = |path: &Path| path.segments.len() == 1 || path.segments[0].ident == "flare";
    paths.into_iter().any(|path| ours(&path) && ends_with(&path, &["FromRow"]))
}

fn ends_with(path: &Path, names: &[&str]) -> bool {
    path.segments.last().is_some_and(|last| names.iter().any(|name| last.ident == name))
}

fn is_helper(attr: &Attribute) -> bool {
    attr.path().is_ident("key") || attr.path().is_ident("column")
}

fn named_fields<'i>(owner: &str, item: &'i DeriveInput) -> Result<&'i Fields> {
    let (place, what) = match &item.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(_) if item.generics.params.is_empty() => return Ok(&data.fields),
            Fields::Named(_) => {
                let message = format!(
                    "{owner} cannot read a generic struct; write a struct for each type it is used with"
                );
                return Err(error(&item.generics, message));
            }
            Fields::Unnamed(_) => (item.ident.to_token_stream(), "a tuple struct"),
            Fields::Unit => (item.ident.to_token_stream(), "a struct without fields"),
        },
        Data::Enum(data) => (data.enum_token.to_token_stream(), "an enum"),
        Data::Union(data) => (data.union_token.to_token_stream(), "a union"),
    };
    let message = format!(
        "{owner} needs a struct with named fields, and this is {what}; write `struct {} {{ … }}`",
        item.ident
    );
    Err(error(&place, message))
}

/// What `#[key]` and `#[column(name = "…")]` say.
fn helpers(field: &SynField, errors: &mut Accumulator) -> (bool, Option<String>) {
    let (mut key, mut column) = (None, None);
    for attr in field.attrs.iter().filter(|attr| is_helper(attr)) {
        let is_key = attr.path().is_ident("key");
        let seen = if is_key { &mut key } else { &mut column };
        if seen.is_some() {
            let name = attr.path().to_token_stream();
            errors.push(error(attr.path(), format!("`#[{name}]` is given twice; remove one of the two")));
            continue;
        }
        *seen = Some(match is_key {
            true => plain_key(attr, errors),
            false => column_name(attr, errors),
        });
    }
    (key.is_some(), column.flatten())
}

fn plain_key(attr: &Attribute, errors: &mut Accumulator) -> Option<String> {
    if !matches!(attr.meta, Meta::Path(_)) {
        errors.push(error(attr.path(), "`#[key]` takes no arguments; write `#[key]` alone"));
    }
    None
}

fn column_name(attr: &Attribute, errors: &mut Accumulator) -> Option<String> {
    const COLUMN: Accepted = Accepted { owner: "`#[column]`", names: &["name"], hints: &[] };
    let tokens = match &attr.meta {
        Meta::List(list) if !list.tokens.is_empty() => list.tokens.clone(),
        _ => {
            errors
                .push(error(attr.path(), "`#[column]` needs a name; write `#[column(name = \"user_id\")]`"));
            return None;
        }
    };
    let mut arguments = Arguments::read(&COLUMN, tokens, errors);
    let name = arguments.take::<Text>("name")?.value?;
    Some(name.0.value())
}
