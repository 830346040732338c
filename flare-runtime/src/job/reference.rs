//! The reference of all settings, made from their declarations.

use std::fmt::Write as _;

use super::dirty;
use super::registry::built_in;
use super::settings::{DirtySettings, JobSettings, OperatorSettings};
use crate::config::{Setting, Settings};
use crate::operators::lookup::{CacheSettings, LookupRetry, LookupSettings};
use crate::operators::{SinkSettings, SourceSettings};
use crate::state::StateSettings;
use crate::wrappers::RetrySettings;

/// A section of the configuration, and its settings.
#[derive(Clone, Copy, Debug)]
pub struct SectionReference {
    /// `source.NAME`, with what it is about.
    pub title: &'static str,
    /// The connector that reads it; empty when every connector does.
    pub connector: &'static str,
    /// Its settings.
    pub settings: &'static [Setting],
}

/// All sections of this build, in the order in which they are explained.
pub fn sections() -> Vec<SectionReference> {
    let common = |title, settings| SectionReference { title, connector: "", settings };
    let mut sections = vec![
        common("job", JobSettings::ALL),
        common("operator.ID", OperatorSettings::ALL),
        common("source.NAME", SourceSettings::ALL),
        common("sink.NAME", SinkSettings::ALL),
        common("sink.NAME.retry", RetrySettings::ALL),
        common("lookup.NAME", LookupSettings::ALL),
        common("lookup.NAME.cache", CacheSettings::ALL),
        common("lookup.NAME.retry", LookupRetry::ALL),
        common("state", StateSettings::ALL),
        common(dirty::SECTION, DirtySettings::ALL),
    ];
    for (connector, offers) in built_in().iter() {
        let source = offers.source.as_ref().map(|source| ("source.NAME", source.settings()));
        let sink = offers.sink.as_ref().map(|sink| ("sink.NAME", sink.settings()));
        let lookup = offers.lookup.as_ref().map(|lookup| ("lookup.NAME", lookup.settings()));
        let own = source.into_iter().chain(sink).chain(lookup).chain(offers.sections.iter().copied());
        sections.extend(own.map(|(title, settings)| SectionReference { title, connector, settings }));
    }
    sections
}

/// The reference page.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for SectionReference { title, connector, settings } in sections() {
        let of =
            if connector.is_empty() { String::new() } else { format!(" with `connector = \"{connector}\"`") };
        let of =
            if title.starts_with("datasource") || title.starts_with("cluster") { String::new() } else { of };
        let _ = writeln!(
            page,
            "\n## `[{title}]`{of}\n\n| setting | type | default | what it does |\n|---|---|---|---|"
        );
        for setting in settings {
            let default = setting.default.map_or("-".to_owned(), |default| format!("`{default}`"));
            let doc = setting.doc.trim().replace('\n', " ").replace('|', "\\|");
            let doc = doc.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(page, "| `{}` | {} | {default} | {doc} |", setting.name, setting.kind());
        }
    }
    page
}

const INTRODUCTION: &str = "\
# Settings

Made from the declarations in the source by a test; run it with `UPDATE=1` to write this page anew.

A setting has one name everywhere: the attribute's argument, the key in `flare.toml`, the variable of the environment
(`source.Order.topic` is `FLARE_SOURCE_ORDER_TOPIC`), and `--set source.Order.topic=…` on the command line.
`NAME` is the connector's or lookup's name, by default that of its struct. Durations are written as `500ms`, `30s`, `5m`.
A setting without a default is required, or absent, as its text says. Relative paths start at the folder of the
configuration file. Beside the settings of its connector, a source, a sink, a lookup and the section `dirty` have a
`connector`; a layer that names another one begins the section anew.

A value outside the range beside its type is refused before the job starts, wherever it comes from. So is a variable
that is no setting although its first word is, or nearly is, that of a section below: `FLARE_JOB_BATHC`,
`FLARE_JOBS_BATCH`. Other variables that begin with `FLARE_` are named in the log and passed over; Kubernetes sets
`FLARE_SERVICE_HOST` and the like for a service called `flare`. For a service called `flare-job` or `flare-source`,
switch them off by `enableServiceLinks: false`.

Three variables are no settings: `FLARE_PROFILE` and `FLARE_CONFIG` stand for `--profile` and `--config`, and
`FLARE_LOG` says what is logged: `error`, `warn`, `info` (the default), `debug` or `trace`, also by module, as in
`warn,flare_runtime=debug`.
";
