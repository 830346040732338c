//! Functions of the user's.

use darling::{FromMeta, Result};
use quote::ToTokens;
use syn::{Expr, Lit, Meta, Path};

use super::{error, name, shown, value};

/// The path of a function.
pub(crate) struct Function(pub(crate) Path);

impl FromMeta for Function {
    fn from_meta(item: &Meta) -> Result<Self> {
        let name = name(item);
        let expr = value(item, "my_function")?;
        match expr {
            Expr::Path(path) if path.qself.is_none() => Ok(Self(path.path.clone())),
            Expr::Lit(lit) if matches!(lit.lit, Lit::Str(_)) => {
                let plain = shown(&lit.lit);
                Err(error(expr, format!("write the function without quotes: `{name} = {plain}`")))
            }
            Expr::Call(call) => {
                let function = call.func.to_token_stream().to_string().replace(' ', "");
                let message = format!("name the function, do not call it: `{name} = {function}`");
                Err(error(expr, message))
            }
            _ => Err(error(
                expr,
                format!("`{name}` must be the path of a function; declare it with `fn` and write its name"),
            )),
        }
    }
}
