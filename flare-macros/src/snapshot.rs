//! Compares an expansion with the file that keeps it.

use std::path::Path;

use proc_macro2::TokenStream;
use syn::{Item, parse_quote};

/// Compares `code` with `snapshots/<name>.txt`; with `SNAPSHOTS=overwrite` writes the file instead.
pub(crate) fn check(name: &str, code: TokenStream) {
    let mut file: syn::File = syn::parse2(code).expect("the expansion is valid Rust");
    file.items.iter_mut().for_each(show_submitted);
    let pretty = prettyplease::unparse(&file);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/snapshots").join(name).with_extension("txt");
    if std::env::var("SNAPSHOTS").is_ok_and(|mode| mode == "overwrite") {
        std::fs::write(&path, &pretty).expect("writes the snapshot");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(pretty, kept, "{} differs; SNAPSHOTS=overwrite writes it anew", path.display());
}

/// What is inside of a macro is not formatted: a submission is shown as a constant.
fn show_submitted(item: &mut Item) {
    let Item::Macro(call) = &*item else {
        return;
    };
    if call.mac.path.segments.last().is_some_and(|last| last.ident == "submit") {
        let value: syn::Expr = call.mac.parse_body().expect("a value is submitted");
        *item = parse_quote!(const SUBMITTED: _ = #value;);
    }
}
