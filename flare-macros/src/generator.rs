//! `#[generator]`.

use darling::error::Accumulator;
use darling::{Error, Result};
use proc_macro2::TokenStream;

use crate::arguments::{Accepted, Argument, Arguments, Setting};
use crate::connector::{self, Connector, Source};
use crate::record::Record;
use crate::values::{Count, Function, Name};

pub(crate) const ACCEPTED: Accepted = Accepted {
    owner: "`#[generator]`",
    names: &[
        "with",
        "name",
        "rate",
        "count",
        "event_time",
        "out_of_orderness",
        "idle_after",
        "max_drift",
        "batch",
        "on_error",
    ],
    hints: &[
        ("parallelism", "write it on the job, `#[flare_job(parallelism = 2)]`"),
        ("flush", "a generator is read only, and `flush` is for sinks"),
        ("retry", "a generator is read only, and `retry` is for sinks"),
    ],
};

struct Written {
    name: Option<Argument<Name>>,
    with: Option<Argument<Function>>,
    source: Source,
    settings: Vec<Setting>,
}

/// Runs the attribute.
pub(crate) fn run(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut errors = Error::accumulator();
    let record = Record::parse(ACCEPTED.owner, item, &mut errors);
    let written = parse(args, &mut errors);
    let generator = check(written, record, &mut errors);
    let generator = errors.finish_with(generator)?.expect("no errors, so nothing is missing");
    Ok(connector::expand(&generator))
}

fn parse(args: TokenStream, errors: &mut Accumulator) -> Written {
    let mut arguments = Arguments::read(&ACCEPTED, args, errors);
    arguments.setting::<Count>("rate");
    arguments.setting::<Count>("count");
    arguments.setting::<Count>("batch");
    let source = Source::parse(&mut arguments);
    Written {
        name: arguments.take("name"),
        with: arguments.take("with"),
        source,
        settings: arguments.finish(),
    }
}

fn check(written: Written, record: Option<Record>, errors: &mut Accumulator) -> Option<Connector> {
    let event_time = written.source.check(record.as_ref(), errors);
    if written.with.is_none() {
        let message = "`#[generator]` needs `with`, a function `fn(u64) -> Self` that makes record number n; \
                       write `#[generator(with = make_order)]`";
        errors.push(Error::custom(message));
    }
    Some(Connector {
        kind: "generator",
        record: record?,
        name: written.name.and_then(|name| name.value),
        settings: written.settings,
        event_time,
        generate: written.with.and_then(|with| with.value).map(|function| function.0),
        typed_columns: false,
    })
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;
    use crate::snapshot;

    #[test]
    fn expands_the_function() {
        let item = quote!(
            struct Order {
                id: u64,
            }
        );
        snapshot::check(
            "generator",
            connector::attribute(run, quote!(with = Order::number, rate = 1_000), item),
        );
    }
}
