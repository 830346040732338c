//! What `#[async_lookup]` takes.

use darling::error::Accumulator;
use proc_macro2::TokenStream;

use crate::arguments::{Accepted, Argument, Arguments, Setting};
use crate::groups::{Cache, LookupRetry};
use crate::values::{Count, Flag, Function, Name, Order, Span, Strategy, Text};

pub(crate) const ACCEPTED: Accepted = Accepted {
    owner: super::OWNER,
    names: &[
        "datasource",
        "sql",
        "name",
        "capacity",
        "concurrency",
        "batch",
        "order",
        "timeout",
        "cache",
        "retry",
        "on_timeout",
        "on_error",
        "on_miss",
        "preload",
        "refresh",
        "default",
    ],
    hints: &[
        ("parallelism", "write it on the job, `#[flare_job(parallelism = 2)]`"),
        ("jdbc", "write `datasource`, the name of a data source in the configuration"),
        ("ttl", "write `cache(ttl = \"10m\")`"),
        ("miss_ttl", "write `cache(miss_ttl = \"30s\")`"),
        ("refresh_after", "write `cache(refresh_after = \"5m\")`"),
        ("times", "write `retry(times = 3)`"),
        ("backoff", "write `retry(backoff = \"50ms\")`"),
        ("key", "write `#[key]` on the field instead"),
    ],
};

/// The arguments as written.
pub(super) struct Written {
    pub(super) name: Option<Argument<Name>>,
    pub(super) datasource: Option<Argument<Text>>,
    pub(super) sql: Option<Argument<Text>>,
    pub(super) strategies: Vec<Argument<Strategy>>,
    pub(super) preload: Option<Argument<Flag>>,
    pub(super) refresh: Option<Argument<Span>>,
    pub(super) default: Option<Argument<Function>>,
    pub(super) settings: Vec<Setting>,
}

/// Reads the arguments.
pub(super) fn parse(args: TokenStream, errors: &mut Accumulator) -> Written {
    let mut arguments = Arguments::read(&ACCEPTED, args, errors);
    let datasource = arguments.setting("datasource");
    let sql = arguments.setting("sql");
    arguments.setting::<Count>("capacity");
    arguments.setting::<Count>("concurrency");
    arguments.setting::<Count>("batch");
    arguments.setting::<Order>("order");
    arguments.setting::<Span>("timeout");
    arguments.setting::<Cache>("cache");
    arguments.setting::<LookupRetry>("retry");
    let strategies = ["on_timeout", "on_error", "on_miss"];
    Written {
        name: arguments.take("name"),
        datasource,
        sql,
        strategies: strategies.into_iter().filter_map(|name| arguments.setting(name)).collect(),
        preload: arguments.setting("preload"),
        refresh: arguments.setting("refresh"),
        default: arguments.take("default"),
        settings: arguments.finish(),
    }
}
