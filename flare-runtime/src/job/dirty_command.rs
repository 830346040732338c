//! The command `dirty`: lists records that were turned aside, and runs the job on them again.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::cli::{Binary, print_summary, see_through};
use super::dirty::{Filter, Landed, ReplayPlan};
use super::load::{Described, Selection, describe};
use super::run::{Running, block_on};
use crate::error::Result;
use crate::model::{Timestamp, parse_moment};

/// The command with its own two.
pub(super) fn command() -> Command {
    let dry_run =
        Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue).help("Only says what it would do");
    Command::new("dirty")
        .about("Works with the records that were turned aside")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("list").about("Counts them; with --json prints them, a record a line").args(filters()),
        )
        .subcommand(
            Command::new("replay")
                .about(
                    "Runs the job on them again: what could not be parsed from the bytes that landed, the rest \
                     from its source; exit code 0 when all were replayed, 1 when some could not be. Nothing is \
                     removed where they landed, and no offset is committed",
                )
                .args(filters())
                .arg(dry_run),
        )
}

fn filters() -> [Arg; 7] {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let moment = |text: &str| parse_moment(text, Timestamp::now());
    [
        option("from", "FILE", "A file of dirty records, instead of where [dirty] has them land")
            .value_parser(value_parser!(PathBuf)),
        option("stage", "STAGE", "Only those of a stage: parse, convert, lookup or write"),
        option("operator", "ID", "Only those that this operator has turned aside"),
        option("kind", "KIND", "Only those with an error of this kind, such as timeout"),
        option("since", "TIME", "Only those turned aside then or later: RFC 3339, or 2h for two hours ago")
            .value_parser(moment),
        option("until", "TIME", "Only those turned aside before then").value_parser(moment),
        option("limit", "N", "At most so many, the oldest first").value_parser(value_parser!(usize)),
    ]
}

fn filter(matches: &ArgMatches) -> Filter {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    Filter {
        stage: text("stage"),
        operator: text("operator"),
        kind: text("kind"),
        since: matches.get_one("since").copied(),
        until: matches.get_one("until").copied(),
        limit: matches.get_one("limit").copied(),
    }
}

/// Runs `dirty list` or `dirty replay`.
///
/// # Errors
/// What keeps the records from being read, or makes the run fail.
pub(super) fn run(
    selection: &Selection,
    binary: Binary,
    matches: &ArgMatches,
    json: bool,
) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("list", matches)) => block_on(list(selection, matches, json))?,
        Some(("replay", matches)) => block_on(replay(selection, binary, matches, json))?,
        _ => unreachable!("clap asks for one of the two"),
    }
}

async fn list(selection: &Selection, matches: &ArgMatches, json: bool) -> Result<ExitCode> {
    let (_, landed) = landed(selection, matches).await?;
    if json {
        for record in &landed.records {
            println!("{}", serde_json::to_string(record).expect("a dirty record is plain data"));
        }
    } else {
        print!("{}", landed.text());
    }
    Ok(ExitCode::SUCCESS)
}

async fn replay(selection: &Selection, binary: Binary, matches: &ArgMatches, json: bool) -> Result<ExitCode> {
    let (described, landed) = landed(selection, matches).await?;
    eprint!("{}", landed.text());
    let plan = ReplayPlan::new(&described.builder.graph, landed.records);
    eprint!("{}", plan.text());
    if matches.get_flag("dry-run") || plan.replays.is_empty() {
        return Ok(ExitCode::from(u8::from(!plan.refused.is_empty())));
    }
    let replays = plan.replays.clone();
    let prepare = |running: Running| running.replaying(replays);
    let prints = described.builder.prints;
    let summary = see_through(described, binary.version, prepare).await?;
    print_summary(&summary, json, prints);
    let outcome = plan.outcome();
    eprint!("{}", outcome.text);
    Ok(ExitCode::from(u8::from(!outcome.is_complete)))
}

async fn landed(selection: &Selection, matches: &ArgMatches) -> Result<(Described, Landed)> {
    let mut described = describe(selection)?;
    std::mem::take(&mut described.builder.problems).into_result()?;
    let from: Option<&PathBuf> = matches.get_one("from");
    let landed = Landed::read(&mut described.builder, from.map(PathBuf::as_path), &filter(matches)).await?;
    Ok((described, landed))
}
