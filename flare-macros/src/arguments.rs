//! Reads `name = value, group(name = value)`: each argument for itself, so that one mistake hides no other.
//!
//! A derived `FromMeta` gives up all arguments when one is wrong, and with them the checks between arguments.

use darling::error::Accumulator;
use darling::{Error, FromMeta, Result};
use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::{Ident, Lit, Meta, Path, Token};

use crate::values::{error, name};

/// What a macro or a group of arguments takes.
pub(crate) struct Accepted {
    /// How messages call the taker: `` `#[kafka]` ``, `` `retry` ``.
    pub(crate) owner: &'static str,
    /// The arguments' names.
    pub(crate) names: &'static [&'static str],
    /// Names that users bring from elsewhere, each with what to write instead.
    pub(crate) hints: &'static [(&'static str, &'static str)],
}

/// An argument that was written.
pub(crate) struct Argument<T> {
    /// Its name as it was written.
    pub(crate) name: Ident,
    /// Its value; `None` when name or value is wrong, which has been said then.
    pub(crate) value: Option<T>,
}

/// An argument as the declaration carries it.
pub(crate) struct Setting {
    name: &'static str,
    value: TokenStream,
}

impl ToTokens for Setting {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { name, value } = self;
        tokens.extend(quote!((#name, #value)));
    }
}

/// The arguments of one macro or group while they are read.
pub(crate) struct Arguments<'a> {
    owner: &'static str,
    items: Vec<Item>,
    settings: Vec<Setting>,
    errors: &'a mut Accumulator,
}

struct Item {
    /// The accepted name; for a misspelt one the name that was probably meant.
    name: &'static str,
    ident: Ident,
    /// What was written; `None` when the name is misspelt.
    meta: Option<Meta>,
}

impl<'a> Arguments<'a> {
    /// Splits `tokens` into arguments; says which of them are unknown or given twice.
    pub(crate) fn read(accepted: &Accepted, tokens: TokenStream, errors: &'a mut Accumulator) -> Self {
        let mut items: Vec<Item> = Vec::new();
        for meta in split(tokens, errors) {
            let Some(ident) = meta.path().segments.first().map(|segment| segment.ident.clone()) else {
                continue;
            };
            let written = name(&meta);
            let known = accepted.names.iter().copied().find(|known| *known == written);
            if let Some(name) = known {
                match items.iter().any(|item| item.name == name && item.meta.is_some()) {
                    true => {
                        errors.push(error(&ident, format!("`{name}` is given twice; remove one of the two")))
                    }
                    false => items.push(Item { name, ident, meta: Some(meta) }),
                }
                continue;
            }
            errors.push(error(&ident, unknown(accepted, &written)));
            if let Some(name) = meant(accepted, &written) {
                items.push(Item { name, ident, meta: None });
            }
        }
        Self { owner: accepted.owner, items, settings: Vec::new(), errors }
    }

    /// Takes the argument `name`, which is for the macro alone.
    pub(crate) fn take<T: FromMeta>(&mut self, name: &'static str) -> Option<Argument<T>> {
        // A correct argument counts before a misspelt one that resembles it.
        let mut items: Vec<&Item> = self.items.iter().filter(|item| item.name == name).collect();
        items.sort_by_key(|item| item.meta.is_none());
        let item = items.first()?;
        let value = item.meta.as_ref().map(T::from_meta);
        let value = value.and_then(|value| self.errors.handle(value));
        Some(Argument { name: item.ident.clone(), value })
    }

    /// Takes the argument `name`, which the declaration carries.
    pub(crate) fn setting<T: FromMeta + ToTokens>(&mut self, name: &'static str) -> Option<Argument<T>> {
        let argument = self.take::<T>(name)?;
        if let Some(value) = &argument.value {
            self.settings.push(Setting { name, value: value.to_token_stream() });
        }
        Some(argument)
    }

    /// As [`Self::setting`] for an argument that must be there, written as in `example`.
    pub(crate) fn required<T: FromMeta + ToTokens>(&mut self, name: &'static str, example: &str) {
        if self.setting::<T>(name).is_none() {
            let message = format!("{} needs `{name}`; write `{example}`", self.owner);
            self.errors.push(Error::custom(message));
        }
    }

    /// The settings in the order in which they were taken.
    pub(crate) fn finish(self) -> Vec<Setting> {
        self.settings
    }
}

/// A group of settings such as `retry(times = 3)`.
pub(crate) struct Group(Vec<Setting>);

impl Group {
    /// Reads the list of `item`; `read` takes the arguments and checks what stands between them.
    pub(crate) fn read(
        item: &Meta,
        accepted: &Accepted,
        example: &str,
        read: impl FnOnce(&mut Arguments<'_>) -> Result<()>,
    ) -> Result<Self> {
        let list = match item {
            Meta::List(list) if !list.tokens.is_empty() => list,
            _ => {
                let message = format!("{} is a list; write `{example}`", accepted.owner);
                return Err(error(item.path(), message));
            }
        };
        let mut errors = Error::accumulator();
        let mut arguments = Arguments::read(accepted, list.tokens.clone(), &mut errors);
        let checked = read(&mut arguments);
        let settings = arguments.finish();
        errors.handle(checked);
        errors.finish_with(Self(settings))
    }
}

impl ToTokens for Group {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let settings = &self.0;
        tokens.extend(quote!(::flare::__private::Literal::Table(&[#(#settings),*])));
    }
}

/// The one of `names` that `written` was probably meant to be: at most every third character is another one.
///
/// The configuration guesses in the same way; a test compares the two.
pub(crate) fn similar<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names.into_iter().filter_map(|name| {
        let same = written.char_indices().zip(name.chars()).take_while(|((_, left), right)| left == right);
        let borders =
            same.filter(|((_, c), _)| !c.is_alphanumeric()).map(|((index, c), _)| index + c.len_utf8());
        let begin = borders.last().unwrap_or_default();
        let (written, part) = (&written[begin..], &name[begin..]);
        let distance = strsim::damerau_levenshtein(written, part);
        (distance * 3 <= written.chars().count().max(part.chars().count())).then_some((distance, name))
    });
    scored.min().map(|(_, name)| name)
}

/// The argument that `written` stands for, by its hint or else by its spelling.
fn meant(accepted: &Accepted, written: &str) -> Option<&'static str> {
    let mut hints = accepted.hints.iter().filter(|(name, _)| *name == written);
    // A hint begins with what to write: "write `datasource`, …".
    let hinted = hints.next().and_then(|(_, hint)| hint.split('`').nth(1));
    let mut names = accepted.names.iter().copied();
    let hinted = hinted.and_then(|hinted| names.find(|name| *name == hinted));
    hinted.or_else(|| similar(written, accepted.names.iter().copied()))
}

fn unknown(accepted: &Accepted, written: &str) -> String {
    let Accepted { owner, names, hints } = accepted;
    if let Some((_, hint)) = hints.iter().find(|(name, _)| *name == written) {
        return format!("{owner} has no argument `{written}`; {hint}");
    }
    if let Some(name) = similar(written, names.iter().copied()) {
        return format!("{owner} has no argument `{written}`; did you mean `{name}`?");
    }
    let list: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{owner} has no argument `{written}`; it takes {}", list.join(", "))
}

/// The arguments that can be read; what stands between commas and is none is reported.
fn split(tokens: TokenStream, errors: &mut Accumulator) -> Vec<Meta> {
    let mut metas = Vec::new();
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let ahead = input.fork();
            match ahead.parse::<Meta>() {
                Ok(meta) => {
                    input.advance_to(&ahead);
                    metas.push(meta);
                }
                // A name without its value is left to the argument, which knows an example.
                Err(_) => match skip_broken(input)? {
                    Ok(name) => metas.push(Meta::Path(name)),
                    Err(error) => errors.push(error),
                },
            }
            if input.parse::<Option<Token![,]>>()?.is_none() && !input.is_empty() {
                errors.push(Error::from(input.error("a comma is missing before this argument")));
            }
        }
        Ok(())
    };
    if let Err(error) = parser.parse2(tokens) {
        errors.push(error.into());
    }
    metas
}

/// Moves past what is no argument, up to the next comma; gives the name if there is one.
fn skip_broken(input: ParseStream<'_>) -> syn::Result<Result<Path>> {
    let broken = if input.peek(Ident) && input.peek2(Token![=]) {
        Ok(input.parse::<Ident>()?.into())
    } else {
        let place = input.cursor().token_tree().map(|(token, _)| token);
        let message = match input.peek(Lit) {
            true => "this value has no name; write `name = value`",
            false => "this is no argument; write `name = value`",
        };
        Err(error(&place, message))
    };
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(broken)
}
