//! Arguments that are one of a few texts.

use darling::{FromMeta, Result};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Expr, ExprLit, Lit, Meta};

use super::{error, name, shown, value};
use crate::arguments::similar;

/// Declares an argument that is one of a few texts.
macro_rules! choices {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($variant),* }

        impl $name {
            /// The choice as it is written.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl FromMeta for $name {
            fn from_meta(item: &Meta) -> Result<Self> {
                choose(item, &[$(($text, Self::$variant)),*])
            }
        }

        impl ToTokens for $name {
            fn to_tokens(&self, tokens: &mut TokenStream) {
                let text = self.name();
                tokens.extend(quote!(::flare::__private::Literal::Text(#text)));
            }
        }
    };
}

choices! {
    /// What becomes of a record that cannot be read or written.
    OnError { Dirty = "dirty", Skip = "skip", Fail = "fail" }
}

choices! {
    /// What becomes of a record whose lookup fails.
    Strategy { Dirty = "dirty", Default = "default", Fail = "fail", Skip = "skip" }
}

choices! {
    /// Whether records leave a lookup as they came.
    Order { Ordered = "ordered", Unordered = "unordered" }
}

choices! {
    /// How records stand in files and messages.
    Format { Json = "json", Csv = "csv" }
}

choices! {
    /// What a file sink does with files that are there.
    FileMode { Append = "append", Overwrite = "overwrite" }
}

choices! {
    /// What a table sink does with a row.
    TableMode { Upsert = "upsert", Insert = "insert", Update = "update", Delete = "delete" }
}

choices! {
    /// Where reading a topic starts.
    Start {
        Earliest = "earliest",
        Latest = "latest",
        Committed = "committed",
        Timestamp = "timestamp",
        Offsets = "offsets",
    }
}

choices! {
    /// Where reading a topic ends.
    End { Never = "never", Latest = "latest", Timestamp = "timestamp", Offsets = "offsets" }
}

choices! {
    /// How a message's partition is chosen.
    Partitioner {
        Murmur2Random = "murmur2_random",
        ConsistentRandom = "consistent_random",
        Random = "random",
        Murmur2 = "murmur2",
        Consistent = "consistent",
        Fnv1a = "fnv1a",
        Fnv1aRandom = "fnv1a_random",
    }
}

choices! {
    /// How batches of messages are compressed.
    Compression { None = "none", Gzip = "gzip", Snappy = "snappy", Lz4 = "lz4", Zstd = "zstd" }
}

fn choose<T: Copy>(item: &Meta, choices: &[(&str, T)]) -> Result<T> {
    let first = format!("\"{}\"", choices[0].0);
    let written = value(item, &first)?;
    let (text, quoted) = match written {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => (text.value(), true),
        Expr::Lit(lit) => (shown(&lit.lit), false),
        other => (other.to_token_stream().to_string(), false),
    };
    let list: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let list = format!("{} or {}", list[..list.len() - 1].join(", "), list[list.len() - 1]);
    let name = name(item);
    let message = match choices.iter().find(|(name, _)| *name == text) {
        Some((_, choice)) if quoted => return Ok(*choice),
        Some(_) => format!("`{text}` must stand in quotes; write `{name} = \"{text}\"`"),
        None => match similar(&text, choices.iter().map(|(name, _)| *name)) {
            Some(meant) => {
                format!("`{name}` has no choice `{text}`; did you mean \"{meant}\"? It takes {list}")
            }
            None => format!("`{name}` has no choice `{text}`; it takes {list}"),
        },
    };
    Err(error(written, message))
}
