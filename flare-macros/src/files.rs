//! `#[files]`.

use darling::error::Accumulator;
use darling::{Error, Result};
use proc_macro2::TokenStream;

use crate::arguments::{Accepted, Argument, Arguments, Setting};
use crate::connector::{self, Connector, Source, parse_sink};
use crate::record::Record;
use crate::values::{Count, FileMode, Format, Name, Number, Text};

pub(crate) const ACCEPTED: Accepted = Accepted {
    owner: "`#[files]`",
    names: &[
        "path",
        "name",
        "format",
        "mode",
        "skip_lines",
        "max_line",
        "event_time",
        "out_of_orderness",
        "idle_after",
        "max_drift",
        "batch",
        "on_error",
        "flush",
        "retry",
    ],
    hints: &[
        ("parallelism", "write it on the job, `#[flare_job(parallelism = 2)]`"),
        ("dir", "write `path`, a file or a folder"),
        ("file", "write `path`, a file or a folder"),
    ],
};

struct Written {
    name: Option<Argument<Name>>,
    source: Source,
    settings: Vec<Setting>,
}

/// Runs the attribute.
pub(crate) fn run(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut errors = Error::accumulator();
    let record = Record::parse(ACCEPTED.owner, item, &mut errors);
    let written = parse(args, &mut errors);
    let files = check(written, record, &mut errors);
    let files = errors.finish_with(files)?.expect("no errors, so nothing is missing");
    Ok(connector::expand(&files))
}

fn parse(args: TokenStream, errors: &mut Accumulator) -> Written {
    let mut arguments = Arguments::read(&ACCEPTED, args, errors);
    arguments.required::<Text>("path", "#[files(path = \"data/orders\")]");
    arguments.setting::<Format>("format");
    arguments.setting::<FileMode>("mode");
    arguments.setting::<Number>("skip_lines");
    arguments.setting::<Count>("max_line");
    // 0 is for a sink; as a source the struct is refused at the start.
    arguments.setting::<Number>("batch");
    parse_sink(&mut arguments);
    let source = Source::parse(&mut arguments);
    Written { name: arguments.take("name"), source, settings: arguments.finish() }
}

fn check(written: Written, record: Option<Record>, errors: &mut Accumulator) -> Option<Connector> {
    let event_time = written.source.check(record.as_ref(), errors);
    Some(Connector {
        kind: "files",
        record: record?,
        name: written.name.and_then(|name| name.value),
        settings: written.settings,
        event_time,
        generate: None,
        typed_columns: false,
    })
}
