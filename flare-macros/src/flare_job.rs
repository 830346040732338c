//! `#[flare_job]`.

use darling::error::Accumulator;
use darling::{Error, Result};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{FnArg, GenericArgument, ItemFn, PathArguments, PathSegment, ReturnType, Signature, Token, Type};

use crate::arguments::{Accepted, Argument, Arguments, Setting};
use crate::values::{Count, Delay, Groups, Name, Span, error};

pub(crate) const ACCEPTED: Accepted = Accepted {
    owner: "`#[flare_job]`",
    names: &[
        "name",
        "parallelism",
        "max_parallelism",
        "checkpoint",
        "flush",
        "batch",
        "buffer",
        "drain_timeout",
    ],
    hints: &[
        ("interval", "write `checkpoint = \"10s\"`"),
        ("timeout", "write `drain_timeout` here, or `timeout` on the lookup"),
    ],
};

/// What a job's function looks like.
const SHAPE: &str = "fn order_wide(job: &mut Job) -> Result<()>";

struct Written {
    name: Option<Argument<Name>>,
    settings: Vec<Setting>,
}

struct Job {
    function: Ident,
    name: String,
    settings: Vec<Setting>,
}

/// Runs the attribute: keeps the user's function, whatever is wrong, and adds the job.
pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let code = run(args, item.clone()).unwrap_or_else(Error::write_errors);
    quote!(#item #code)
}

fn run(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut errors = Error::accumulator();
    let written = parse(args, &mut errors);
    let signature = parse_function(item, &mut errors);
    let job = check(written, signature, &mut errors);
    let job = errors.finish_with(job)?.expect("no errors, so nothing is missing");
    Ok(expand(&job))
}

fn parse(args: TokenStream, errors: &mut Accumulator) -> Written {
    let mut arguments = Arguments::read(&ACCEPTED, args, errors);
    arguments.setting::<Count>("parallelism");
    arguments.setting::<Groups>("max_parallelism");
    arguments.setting::<Delay>("checkpoint");
    arguments.setting::<Delay>("flush");
    arguments.setting::<Count>("batch");
    arguments.setting::<Count>("buffer");
    arguments.setting::<Span>("drain_timeout");
    Written { name: arguments.take("name"), settings: arguments.finish() }
}

fn parse_function(item: TokenStream, errors: &mut Accumulator) -> Option<Signature> {
    let function = syn::parse2::<ItemFn>(item.clone());
    let wrong = || error(&item, format!("`#[flare_job]` belongs on a function; write `{SHAPE}`"));
    errors.handle(function.map(|function| function.sig).map_err(|_| wrong()))
}

fn check(written: Written, signature: Option<Signature>, errors: &mut Accumulator) -> Option<Job> {
    let signature = signature?;
    check_qualifiers(&signature, errors);
    check_input(&signature, errors);
    check_output(&signature, errors);
    let name = written.name.and_then(|name| name.value);
    let by_function = || signature.ident.unraw().to_string().replace('_', "-");
    let name = name.map_or_else(by_function, |name| name.0.value());
    Some(Job { name, function: signature.ident, settings: written.settings })
}

fn check_qualifiers(signature: &Signature, errors: &mut Accumulator) {
    if let Some(keyword) = &signature.asyncness {
        let message = "a job's function only describes the job and waits for nothing; remove `async`";
        errors.push(error(keyword, message));
    }
    if let Some(keyword) = &signature.unsafety {
        errors.push(error(keyword, "a job's function is called by Flare; remove `unsafe`"));
    }
    if let Some(abi) = &signature.abi {
        errors.push(error(abi, "a job's function is called by Flare; remove `extern`"));
    }
    if !signature.generics.params.is_empty() {
        let message = "a job cannot be generic, since nobody names its types; remove the parameters";
        errors.push(error(&signature.generics, message));
    }
}

fn check_input(signature: &Signature, errors: &mut Accumulator) {
    let mut inputs = signature.inputs.iter();
    let Some(first) = inputs.next() else {
        let message = format!("a job's function takes the job that it describes; write `{SHAPE}`");
        return errors.push(error(&signature.ident, message));
    };
    let message =
        match first {
            FnArg::Receiver(_) => {
                format!("a job is a function and no method; move it out of the `impl` and write `{SHAPE}`")
            }
            FnArg::Typed(typed) if !is_job(&typed.ty) => {
                let written = typed.ty.to_token_stream().to_string().replace("& ", "&");
                let message = format!("a job's function takes `&mut Job`, not `{written}`");
                return errors.push(error(&typed.ty, message));
            }
            FnArg::Typed(_) => return errors.extend(inputs.map(|more| {
                error(
                    more,
                    "a job's function takes nothing beside `&mut Job`; settings come from the configuration",
                )
            })),
        };
    errors.push(error(first, message));
}

fn is_job(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else {
        return false;
    };
    reference.mutability.is_some() && last_segment(&reference.elem).is_some_and(|last| last.ident == "Job")
}

fn check_output(signature: &Signature, errors: &mut Accumulator) {
    match &signature.output {
        ReturnType::Default => {
            let message = "a job's function returns `Result<()>`; write `-> Result<()>` behind the arguments";
            errors.push(error(&signature.ident, message));
        }
        ReturnType::Type(_, ty) if !is_result(ty) => {
            let written = ty.to_token_stream().to_string().replace(' ', "");
            errors.push(error(ty, format!("a job's function returns `Result<()>`, not `{written}`")));
        }
        ReturnType::Type(..) => {}
    }
}

fn is_result(ty: &Type) -> bool {
    let Some(PathSegment { ident, arguments: PathArguments::AngleBracketed(list) }) = last_segment(ty) else {
        return false;
    };
    let unit = |argument: &GenericArgument| match argument {
        GenericArgument::Type(Type::Tuple(tuple)) => tuple.elems.is_empty(),
        _ => false,
    };
    let list: &Punctuated<GenericArgument, Token![,]> = &list.args;
    ident == "Result" && list.first().is_some_and(unit)
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        _ => None,
    }
}

fn expand(job: &Job) -> TokenStream {
    let Job { function, name, settings } = job;
    // With the function's span the compiler's message about another type stands at the function.
    let describe = quote_spanned!(function.span()=> #function);
    quote! {
        ::flare::__private::inventory::submit! {
            ::flare::__private::JobDeclaration {
                name: #name,
                arguments: &[#(#settings),*],
                describe: #describe,
                place: ::flare::__private::Place { file: ::core::file!(), line: ::core::line!() },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;
    use crate::snapshot;

    #[test]
    fn expands_arguments() {
        let args = quote!(parallelism = 2, checkpoint = "10s", flush = "0s");
        let item = quote!(
            fn order_wide(job: &mut Job) -> Result<()> {
                job.describe()
            }
        );
        snapshot::check("flare_job", attribute(args, item));
    }

    #[test]
    fn keeps_the_function_beside_errors() {
        snapshot::check(
            "flare_job_error",
            attribute(
                quote!(),
                quote!(
                    async fn order_wide() {}
                ),
            ),
        );
    }
}
