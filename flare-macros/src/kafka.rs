//! `#[kafka]`.

use darling::error::Accumulator;
use darling::{Error, Result};
use proc_macro2::TokenStream;

use crate::arguments::{Accepted, Argument, Arguments, Setting};
use crate::connector::{self, Connector, Source, parse_sink};
use crate::record::Record;
use crate::values::{
    Compression, Delay, DeliveryTimeout, End, Format, Headers, Instant, Linger, Name, Number, Offsets,
    Partitioner, Properties, Start, Text, Topic, error,
};

pub(crate) const ACCEPTED: Accepted = Accepted {
    owner: "`#[kafka]`",
    names: &[
        "topic",
        "name",
        "cluster",
        "group",
        "start",
        "start_timestamp",
        "start_offsets",
        "end",
        "end_timestamp",
        "end_offsets",
        "discovery",
        "format",
        "partitioner",
        "linger",
        "delivery_timeout",
        "compression",
        "headers",
        "properties",
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
        ("servers", "the servers stand in the configuration of the cluster that `cluster` names"),
        ("bootstrap_servers", "the servers stand in the configuration of the cluster that `cluster` names"),
        ("brokers", "the servers stand in the configuration of the cluster that `cluster` names"),
    ],
};

struct Written {
    name: Option<Argument<Name>>,
    source: Source,
    start: Option<Argument<Start>>,
    start_timestamp: Option<Argument<Instant>>,
    start_offsets: Option<Argument<Offsets>>,
    end: Option<Argument<End>>,
    end_timestamp: Option<Argument<Instant>>,
    end_offsets: Option<Argument<Offsets>>,
    settings: Vec<Setting>,
}

/// Runs the attribute.
pub(crate) fn run(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut errors = Error::accumulator();
    let record = Record::parse(ACCEPTED.owner, item, &mut errors);
    let written = parse(args, &mut errors);
    let kafka = check(written, record, &mut errors);
    let kafka = errors.finish_with(kafka)?.expect("no errors, so nothing is missing");
    Ok(connector::expand(&kafka))
}

fn parse(args: TokenStream, errors: &mut Accumulator) -> Written {
    let mut arguments = Arguments::read(&ACCEPTED, args, errors);
    arguments.required::<Topic>("topic", "#[kafka(topic = \"orders\")]");
    arguments.setting::<Text>("cluster");
    arguments.setting::<Text>("group");
    arguments.setting::<Delay>("discovery");
    arguments.setting::<Format>("format");
    arguments.setting::<Partitioner>("partitioner");
    arguments.setting::<Linger>("linger");
    arguments.setting::<DeliveryTimeout>("delivery_timeout");
    arguments.setting::<Compression>("compression");
    arguments.setting::<Headers>("headers");
    arguments.setting::<Properties>("properties");
    // 0 is for a sink; as a source the struct is refused at the start.
    arguments.setting::<Number>("batch");
    parse_sink(&mut arguments);
    Written {
        name: arguments.take("name"),
        source: Source::parse(&mut arguments),
        start: arguments.setting("start"),
        start_timestamp: arguments.setting("start_timestamp"),
        start_offsets: arguments.setting("start_offsets"),
        end: arguments.setting("end"),
        end_timestamp: arguments.setting("end_timestamp"),
        end_offsets: arguments.setting("end_offsets"),
        settings: arguments.finish(),
    }
}

fn check(written: Written, record: Option<Record>, errors: &mut Accumulator) -> Option<Connector> {
    let event_time = written.source.check(record.as_ref(), errors);
    let Written { start, start_timestamp, start_offsets, end, end_timestamp, end_offsets, .. } = &written;
    errors.extend(check_pair(start, Start::Timestamp, start_timestamp, &START_TIMESTAMP));
    errors.extend(check_pair(start, Start::Offsets, start_offsets, &START_OFFSETS));
    errors.extend(check_pair(end, End::Timestamp, end_timestamp, &END_TIMESTAMP));
    errors.extend(check_pair(end, End::Offsets, end_offsets, &END_OFFSETS));
    Some(Connector {
        kind: "kafka",
        record: record?,
        name: written.name.and_then(|name| name.value),
        settings: written.settings,
        event_time,
        generate: None,
        typed_columns: false,
    })
}

/// An argument that goes with one choice of another: how both are written.
struct Pair {
    choice: &'static str,
    detail: &'static str,
}

const START_TIMESTAMP: Pair =
    Pair { choice: "start = \"timestamp\"", detail: "start_timestamp = \"2026-01-31T08:00:00Z\"" };
const START_OFFSETS: Pair =
    Pair { choice: "start = \"offsets\"", detail: "start_offsets(\"0\" = 15, \"1\" = 20)" };
const END_TIMESTAMP: Pair =
    Pair { choice: "end = \"timestamp\"", detail: "end_timestamp = \"2026-01-31T08:00:00Z\"" };
const END_OFFSETS: Pair = Pair { choice: "end = \"offsets\"", detail: "end_offsets(\"0\" = 15, \"1\" = 20)" };

/// Whether the choice and its detail are both there or both absent.
fn check_pair<C: PartialEq, D>(
    choice: &Option<Argument<C>>,
    wanted: C,
    detail: &Option<Argument<D>>,
    pair: &Pair,
) -> Option<Error> {
    let chosen = match choice {
        // A choice that cannot be read may have been the right one.
        Some(Argument { value: None, .. }) => return None,
        Some(Argument { value: Some(value), .. }) => *value == wanted,
        None => false,
    };
    match (choice, detail) {
        (Some(choice), None) if chosen => {
            Some(error(&choice.name, format!("`{}` needs `{}`", pair.choice, pair.detail)))
        }
        (_, Some(detail)) if !chosen => {
            let message =
                format!("`{}` counts only with `{}`; add that or remove this", detail.name, pair.choice);
            Some(error(&detail.name, message))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;
    use crate::snapshot;

    #[test]
    fn expands_a_source_with_event_time() {
        let args = quote!(
            topic = "orders",
            event_time = "paid_at",
            out_of_orderness = "5s",
            start = "offsets",
            start_offsets("0" = 15),
            retry(times = 3),
            properties("acks" = -1),
        );
        let item = quote! {
            #[derive(Serialize)]
            #[serde(rename_all = "camelCase")]
            struct Order {
                #[key]
                #[column(name = "order_id")]
                id: u64,
                paid_at: Timestamp,
                #[serde(skip)]
                seen: bool,
                #[cfg(feature = "tips")]
                tip: i64,
            }
        };
        snapshot::check("kafka_source", connector::attribute(run, args, item));
    }

    #[test]
    fn leaves_what_belongs_to_attributes_below() {
        let args = quote!(topic = "orders", name = "orders-out");
        let item = quote! {
            #[jdbc(datasource = "dw", table = "orders")]
            struct Order {
                #[key]
                id: u64,
            }
        };
        snapshot::check("kafka_above_jdbc", connector::attribute(run, args, item));
    }

    #[test]
    fn keeps_the_item_beside_errors() {
        let item = quote!(
            struct Order {
                #[key]
                id: u64,
            }
        );
        snapshot::check("kafka_error", connector::attribute(run, quote!(topic = ""), item));
    }
}
