//! The names under which serde writes fields.

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token};

/// What serde's attributes on a struct say about its fields.
pub(crate) struct Container {
    rename_all: Option<String>,
}

/// How serde writes one field.
pub(crate) struct Spelling {
    /// The name it is written under.
    pub(crate) name: String,
    /// Whether it is left out.
    pub(crate) skipped: bool,
    /// Whether a function of the user's writes it, so that its type says nothing.
    pub(crate) converted: bool,
}

impl Container {
    /// Reads the attributes of a struct.
    pub(crate) fn read(attrs: &[Attribute]) -> Self {
        Self { rename_all: serialized_name(&metas(attrs), "rename_all") }
    }

    /// How the field `name` with `attrs` is written.
    pub(crate) fn spell(&self, name: &str, attrs: &[Attribute]) -> Spelling {
        let metas = metas(attrs);
        let has =
            |names: &[&str]| metas.iter().any(|meta| names.iter().any(|name| meta.path().is_ident(name)));
        let by_rule = || self.rename_all.as_ref().map_or_else(|| name.to_owned(), |rule| respell(name, rule));
        Spelling {
            name: serialized_name(&metas, "rename").unwrap_or_else(by_rule),
            skipped: has(&["skip", "skip_serializing"]),
            converted: has(&["with", "serialize_with"]),
        }
    }
}

/// Everything in `#[serde(…)]`. What cannot be read is left to serde, which reports it.
fn metas(attrs: &[Attribute]) -> Vec<Meta> {
    let serde = attrs.iter().filter(|attr| attr.path().is_ident("serde"));
    let lists = serde.filter_map(|attr| list(&attr.meta));
    lists.flatten().collect()
}

fn list(meta: &Meta) -> Option<Punctuated<Meta, Token![,]>> {
    meta.require_list().ok()?.parse_args_with(Punctuated::parse_terminated).ok()
}

/// The text of `argument = "…"` or `argument(serialize = "…")`.
fn serialized_name(metas: &[Meta], argument: &str) -> Option<String> {
    let meta = metas.iter().find(|meta| meta.path().is_ident(argument))?;
    match meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        Meta::List(_) => {
            let inner: Vec<Meta> = list(meta)?.into_iter().collect();
            serialized_name(&inner, "serialize")
        }
        Meta::Path(_) => None,
    }
}

/// Applies a rule of `rename_all` to a field's name.
fn respell(name: &str, rule: &str) -> String {
    let pascal = || name.split('_').map(capitalized).collect::<String>();
    match rule {
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => name.to_ascii_uppercase(),
        "PascalCase" => pascal(),
        "camelCase" => {
            let pascal = pascal();
            let first = pascal.chars().next().map_or(0, char::len_utf8);
            pascal[..first].to_ascii_lowercase() + &pascal[first..]
        }
        "kebab-case" => name.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => name.to_ascii_uppercase().replace('_', "-"),
        _ => name.to_owned(),
    }
}

fn capitalized(word: &str) -> String {
    let first = word.chars().next().map_or(0, char::len_utf8);
    word[..first].to_ascii_uppercase() + &word[first..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn respells_as_serde_does() {
        let rules =
            ["lowercase", "UPPERCASE", "PascalCase", "camelCase", "kebab-case", "SCREAMING-KEBAB-CASE"];
        let names = rules.map(|rule| respell("user_name", rule));
        assert_eq!(names, ["user_name", "USER_NAME", "UserName", "userName", "user-name", "USER-NAME"]);
    }

    #[test]
    fn prefers_the_name_for_serializing() {
        let field: syn::Field = syn::parse_quote! {
            #[serde(rename(serialize = "uid", deserialize = "userId"), with = "hex")]
            user_id: u64
        };
        let spelling = Container { rename_all: None }.spell("user_id", &field.attrs);
        assert_eq!((spelling.name.as_str(), spelling.skipped, spelling.converted), ("uid", false, true));
    }
}
