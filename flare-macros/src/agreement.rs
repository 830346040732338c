//! The attributes and the configuration take the same values; this is the one place that sees both.
//!
//! Without the feature `kafka` Kafka is left out.

use flare_runtime::config::{self, Setting};
use flare_runtime::job::reference::{SectionReference, sections};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::arguments::{Accepted, similar};
use crate::{async_lookup, connector, files, flare_job, generator, groups, jdbc, kafka};

/// An attribute, or a group of its arguments, and the sections of the configuration that it stands for.
struct Attribute {
    accepted: &'static Accepted,
    /// Title and connector.
    sections: &'static [(&'static str, &'static str)],
    run: fn(TokenStream) -> TokenStream,
}

const ATTRIBUTES: &[Attribute] = &[
    Attribute { accepted: &flare_job::ACCEPTED, sections: &[("job", "")], run: job },
    Attribute {
        accepted: &kafka::ACCEPTED,
        sections: &[("source.NAME", ""), ("sink.NAME", ""), ("source.NAME", "kafka"), ("sink.NAME", "kafka")],
        run: |argument| {
            connector::attribute(kafka::run, quote!(topic = "t", event_time = "paid_at", #argument), item())
        },
    },
    Attribute {
        accepted: &files::ACCEPTED,
        sections: &[("source.NAME", ""), ("sink.NAME", ""), ("source.NAME", "files"), ("sink.NAME", "files")],
        run: |argument| {
            connector::attribute(files::run, quote!(path = "p", event_time = "paid_at", #argument), item())
        },
    },
    Attribute {
        accepted: &jdbc::ACCEPTED,
        sections: &[("sink.NAME", ""), ("sink.NAME", "jdbc")],
        run: table,
    },
    Attribute {
        accepted: &generator::ACCEPTED,
        sections: &[("source.NAME", ""), ("source.NAME", "generator")],
        run: |argument| {
            connector::attribute(
                generator::run,
                quote!(with = make, event_time = "paid_at", #argument),
                item(),
            )
        },
    },
    Attribute {
        accepted: &async_lookup::parse::ACCEPTED,
        sections: &[("lookup.NAME", ""), ("lookup.NAME", "jdbc")],
        run: lookup,
    },
    Attribute {
        accepted: &groups::RETRY,
        sections: &[("sink.NAME.retry", "")],
        run: |argument| table(quote!(retry(#argument))),
    },
    Attribute {
        accepted: &groups::LOOKUP_RETRY,
        sections: &[("lookup.NAME.retry", "")],
        run: |argument| lookup(quote!(retry(#argument))),
    },
    Attribute {
        accepted: &groups::CACHE,
        sections: &[("lookup.NAME.cache", "")],
        run: |argument| lookup(quote!(cache(#argument))),
    },
];

/// Sections that no attribute writes.
const CONFIGURED_ONLY: &[(&str, &str)] = &[
    ("operator.ID", ""),
    ("state", ""),
    ("dirty", ""),
    ("datasource.NAME", "jdbc"),
    ("cluster.NAME", "kafka"),
    ("sink.NAME", "log"),
    ("sink.NAME", "print"),
];

/// Arguments that are no settings: what only code can say, and groups.
const ARGUMENTS_ONLY: &[&str] = &["name", "with", "event_time", "default", "retry", "cache"];

/// Settings that the attribute cannot have: there is no payload whose format could be chosen.
const SETTINGS_ONLY: &[(&str, &str)] = &[("`#[jdbc]`", "format"), ("`#[generator]`", "format")];

fn item() -> TokenStream {
    quote!(
        struct Order {
            #[key]
            id: u64,
            paid_at: Timestamp,
        }
    )
}

fn job(argument: TokenStream) -> TokenStream {
    flare_job::attribute(
        argument,
        quote!(
            fn orders(job: &mut Job) -> Result<()> {
                job.describe()
            }
        ),
    )
}

fn table(argument: TokenStream) -> TokenStream {
    connector::attribute(jdbc::run, quote!(datasource = "d", table = "t", #argument), item())
}

fn lookup(argument: TokenStream) -> TokenStream {
    async_lookup::attribute(quote!(preload = true, #argument), item())
}

/// The settings that the attribute's sections declare in this build.
fn declared(attribute: &Attribute) -> Vec<(&'static str, &'static Setting)> {
    let ours = |section: &SectionReference| attribute.sections.contains(&(section.title, section.connector));
    let sections = sections().into_iter().filter(ours);
    sections
        .flat_map(|section| section.settings.iter().map(move |setting| (section.title, setting)))
        .collect()
}

/// Values at and beside every bound that a type or a range has.
fn probes(setting: &Setting) -> Vec<String> {
    let bounds = match setting.range {
        config::Range::Any => vec![],
        config::Range::Above(bound) | config::Range::From(bound) => vec![bound],
        config::Range::Between(least, most) => vec![least, most],
    };
    if setting.ty == "duration" {
        let mut probes =
            ["0s", "1ns", "1ms", "1s", "900s", "901s", "1000000years"].map(str::to_owned).to_vec();
        for bound in bounds {
            probes.extend([bound.to_owned(), format!("{bound} 1ns")]);
            let bound = humantime::parse_duration(bound).expect("a duration");
            let below = bound.saturating_sub(std::time::Duration::from_nanos(1));
            probes.push(humantime::format_duration(below).to_string());
        }
        return probes;
    }
    let numbers = bounds.iter().map(|bound| bound.parse::<i128>().expect("a whole number"));
    let limits = [0, i128::from(u16::MAX), i128::from(u32::MAX), i128::from(i64::MAX)];
    let beside = numbers.chain(limits).flat_map(|number| [number - 1, number, number + 1]);
    // No file can say more, whatever a setting's type could hold.
    beside.filter(|number| i64::try_from(*number).is_ok()).map(|number| number.to_string()).collect()
}

/// Whether the attribute takes `name = value`.
fn takes(attribute: &Attribute, setting: &Setting, value: &str) -> bool {
    let name = format_ident!("{}", setting.name);
    let value = match setting.ty {
        "duration" => quote!(#value),
        _ => value.parse().expect("a number"),
    };
    !(attribute.run)(quote!(#name = #value)).to_string().contains("compile_error")
}

#[test]
fn attributes_and_configuration_take_the_same_values() {
    let mut compared = 0;
    for attribute in ATTRIBUTES {
        let declared = declared(attribute);
        let measured =
            declared.iter().filter(|(_, setting)| matches!(setting.ty, "number" | "decimal" | "duration"));
        for (title, setting) in measured {
            // One argument may stand for a source's setting and a sink's; it takes what one of the two does.
            let same: Vec<_> = declared.iter().filter(|(_, other)| other.name == setting.name).collect();
            for value in same.iter().flat_map(|(_, setting)| probes(setting)) {
                let configured = same.iter().any(|(_, setting)| (setting.accepts)(&value));
                let written = takes(attribute, setting, &value);
                let owner = attribute.accepted.owner;
                assert_eq!(written, configured, "{owner} and [{title}]: {} = {value}", setting.name);
                compared += 1;
            }
        }
    }
    assert!(compared > 300, "only {compared} values were compared");
}

#[test]
fn every_default_is_in_its_range() {
    for section in sections() {
        for setting in section.settings {
            let fits = setting.default.is_none_or(setting.accepts);
            assert!(fits, "[{}] {}", section.title, setting.name);
        }
    }
}

#[test]
fn every_section_and_argument_has_its_counterpart() {
    for section in sections() {
        let key = (section.title, section.connector);
        let known = CONFIGURED_ONLY.contains(&key)
            || ATTRIBUTES.iter().any(|attribute| attribute.sections.contains(&key));
        assert!(known, "say here which attribute writes {key:?}");
    }
    for attribute in ATTRIBUTES {
        let Accepted { owner, names, .. } = attribute.accepted;
        let built = |section: &(&str, &str)| {
            sections().iter().any(|known| (known.title, known.connector) == *section)
        };
        if !attribute.sections.iter().all(built) {
            assert!(!cfg!(feature = "kafka") && *owner == "`#[kafka]`", "{owner} has lost its sections");
            continue;
        }
        let declared: Vec<_> = declared(attribute).iter().map(|(_, setting)| setting.name).collect();
        for name in names.iter().filter(|name| !ARGUMENTS_ONLY.contains(name)) {
            assert!(declared.contains(name), "{owner}: `{name}` is no setting");
        }
        for name in declared {
            let known = names.contains(&name) || SETTINGS_ONLY.contains(&(*owner, name));
            assert!(known, "{owner}: the setting `{name}` is no argument");
        }
    }
}

#[test]
fn both_guess_alike() {
    let known = ["topic", "group", "ttl", "miss_ttl", "start", "start_offsets", "timeout", "table"];
    let written = ["topci", "Topic", "tll", "start_ofset", "start_at", "tabel", "time", "to", "", "größe"];
    for name in written {
        assert_eq!(similar(name, known), config::similar(name, known), "{name}");
    }
}
