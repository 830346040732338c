//! The command line of a job's binary: `run`, `plan`, `config`, `doctor`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use tokio::sync::{oneshot, watch};

use super::declared::Declared;
use super::dirty_command;
use super::load::{Described, Selection, describe};
use super::report::{Summary, environment};
use super::run::{Running, block_on, check, check_all, plan};
use super::settings::JobSettings;
use crate::config::{Literal, Problems, Range, Setting, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::monitor::Progress;

/// What `flare::main!()` knows of the binary.
#[derive(Clone, Copy, Debug)]
pub struct Binary {
    /// The package's name.
    pub name: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// The package's folder when it was built.
    pub manifest_dir: &'static str,
    /// The configuration file in that folder.
    pub config: &'static str,
}

/// The program: exit code 0 when all went well, 1 when the job failed or `doctor` found problems, 2 when the command
/// line or the configuration could not be read.
pub fn main(binary: Binary) -> ExitCode {
    let matches = command(binary).get_matches();
    init_logs();
    let selection = selection(binary, &matches);
    let json = matches.get_flag("json");
    let done = match matches.subcommand() {
        None | Some(("run", _)) => run_job(&selection, binary, json),
        Some(("plan", matches)) => show_plan(&selection, matches.get_flag("mermaid"), json),
        Some(("config", _)) => show_config(&selection, json),
        Some(("doctor", _)) => doctor(&selection, json),
        Some(("dirty", matches)) => dirty_command::run(&selection, binary, matches, json),
        Some((other, _)) => unreachable!("clap knows no command `{other}`"),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {}", error.report());
        if let Some(remedy) = error.remedy() {
            eprintln!("    {remedy}");
        }
        ExitCode::from(if error.kind() == ErrorKind::Config { 2 } else { 1 })
    })
}

fn command(binary: Binary) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).global(true).help(help)
    };
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).global(true).help(help)
    };
    let declared = Declared::collect(&mut Problems::default());
    let arguments = if let [job] = declared.jobs[..] { job.arguments } else { &[] };
    Command::new(binary.name)
        .version(binary.version)
        .about("A Flare job; without a command it runs")
        .arg(option("job", "NAME", "The job, when the binary holds several"))
        .arg(option("profile", "NAME", "Reads flare.NAME.toml above flare.toml").env("FLARE_PROFILE"))
        .arg(option("config", "FILE", "Configuration file or its folder instead of flare.toml").env("FLARE_CONFIG"))
        .arg(
            option("set", "KEY=VALUE", "Sets any setting, such as source.Order.topic=orders2")
                .action(ArgAction::Append),
        )
        .arg(flag("json", "Prints JSON for programs; the summary on standard error where a sink prints records"))
        .args(JobSettings::ALL.iter().map(|setting| setting_flag(setting, arguments)))
        .after_help(AFTER_HELP)
        .subcommand(Command::new("run").about("Runs the job (the default)"))
        .subcommand(
            Command::new("plan").about("Shows the graph").arg(
                Arg::new("mermaid")
                    .long("mermaid")
                    .action(ArgAction::SetTrue)
                    .conflicts_with("json")
                    .help("As a Mermaid flowchart"),
            ),
        )
        .subcommand(Command::new("config").about("Shows every setting in force and where it came from"))
        .subcommand(Command::new("doctor").about(
            "Checks everything that can be checked without starting; connects, and runs init_sql: exit code 0 fine, 1 problems, 2 unreadable",
        ))
        .subcommand(dirty_command::command())
}

const AFTER_HELP: &str = "\
Environment:
  FLARE_PROFILE, FLARE_CONFIG  As --profile and --config
  FLARE_LOG                    What is logged: error, warn, info (the default), debug or trace, also by module, such
                               as warn,flare_runtime=debug
  FLARE_SOURCE_ORDER_TOPIC     Sets source.Order.topic, and so on for any setting
";

/// The settings of a job are flags of their own. `arguments` are those of its attribute, if the binary has one job.
fn setting_flag(setting: &Setting, arguments: &[(&str, Literal)]) -> Arg {
    let argument = arguments.iter().find(|(name, _)| *name == setting.name);
    let default = argument.map(|(_, value)| value.to_string());
    let default = default.or_else(|| setting.default.map(str::to_owned));
    let default = default.map(|default| format!(" [default: {default}]")).unwrap_or_default();
    let range = if setting.range == Range::Any { String::new() } else { format!(" [{}]", setting.kind()) };
    let help = format!("{}{range}{default}", setting.doc.trim());
    let flag = setting.name.replace('_', "-");
    Arg::new(setting.name)
        .long(flag)
        .alias(setting.name)
        .value_name(setting.ty.to_uppercase())
        .global(true)
        .help_heading("Settings of the job")
        .help(help)
}

fn selection(binary: Binary, matches: &ArgMatches) -> Selection {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let mut settings: Vec<String> = matches.get_many("set").into_iter().flatten().cloned().collect();
    for setting in JobSettings::ALL {
        settings.extend(text(setting.name).map(|value| format!("job.{}={value}", setting.name)));
    }
    Selection {
        job: text("job"),
        profile: text("profile"),
        config: text("config").map(PathBuf::from),
        settings,
        default_config: Some(PathBuf::from(binary.manifest_dir).join(binary.config)),
        environment: std::env::vars_os().filter_map(text_pair).collect(),
    }
}

/// A variable that is no text can be no setting.
fn text_pair((name, value): (OsString, OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

fn init_logs() {
    let filter = std::env::var("FLARE_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = tracing_subscriber::EnvFilter::new(filter);
    let ansi = std::io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi);
    // A program that embeds Flare may have its own logs already.
    let _ = logs.with_target(false).try_init();
}

/// A live line on a terminal; nothing of the kind in a pipe.
fn progress(running: &Running) -> Option<Progress> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    Some(Progress::start(Duration::from_millis(200), running.totals()))
}

/// What Ctrl-C and SIGTERM mean: the first drains, the second ends at once.
struct Signals {
    stop: watch::Receiver<bool>,
    at_once: oneshot::Receiver<()>,
}

fn signals() -> Result<Signals> {
    use tokio::signal::unix::{SignalKind, signal};
    let no_signals = |error| Error::new(ErrorKind::Failed, "signals cannot be heard").caused_by(error);
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let (stop_sender, stop) = watch::channel(false);
    let (at_once_sender, at_once) = oneshot::channel();
    tokio::spawn(async move {
        next().await;
        tracing::info!("stopping: sources end, the rest drains; once more to stop at once");
        stop_sender.send_replace(true);
        next().await;
        let _ = at_once_sender.send(());
        // The receiver of `stop` takes a closed channel for one that never asks.
        std::future::pending::<()>().await;
    });
    Ok(Signals { stop, at_once })
}

fn run_job(selection: &Selection, binary: Binary, json: bool) -> Result<ExitCode> {
    let described = describe(selection)?;
    let prints = described.builder.prints;
    let summary = block_on(see_through(described, binary.version, |running| running))??;
    print_summary(&summary, json, prints);
    Ok(ExitCode::SUCCESS)
}

/// Shows how a run went; with `prints` beside the records that stand on standard output alone.
pub(super) fn print_summary(summary: &Summary, json: bool, prints: bool) {
    let text = if json {
        serde_json::to_string(summary).expect("a summary is plain data") + "\n"
    } else {
        summary.text()
    };
    if prints {
        eprint!("{text}");
    } else {
        print!("{text}");
    }
}

/// Checks the job, shows what it runs with, and runs it as `prepare` wants.
pub(super) async fn see_through(
    mut described: Described,
    version: &str,
    prepare: impl FnOnce(Running) -> Running,
) -> Result<Summary> {
    check_all(&mut described.builder).await?;
    eprint!("{}", environment(&described, version));
    let running = prepare(Running::new(described.builder));
    let progress = progress(&running);
    let Signals { stop, at_once } = signals()?;
    let summary = tokio::select! {
        summary = running.run(stop) => summary,
        _ = at_once => Err(Error::new(ErrorKind::Failed, "stopped at once; the last checkpoint stands")),
    };
    drop(progress);
    summary
}

fn show_plan(selection: &Selection, mermaid: bool, json: bool) -> Result<ExitCode> {
    let described = describe(selection)?;
    let plan = plan(&described);
    match (mermaid, json) {
        (true, _) => print!("{}", plan.mermaid),
        (false, true) => println!("{}", plan.json),
        (false, false) => print!("{}", plan.text),
    }
    Ok(tell(&described.builder.problems))
}

fn show_config(selection: &Selection, json: bool) -> Result<ExitCode> {
    let Described { builder, .. } = describe(selection)?;
    let effective = builder.config.effective();
    if json {
        println!("{}", serde_json::to_string_pretty(effective).expect("settings are plain data"));
    } else {
        for setting in effective {
            println!("{} = {}  ({})", setting.key, setting.value, setting.origin);
        }
    }
    Ok(tell(&builder.problems))
}

/// Problems on standard error; the exit code that they mean.
fn tell(problems: &Problems) -> ExitCode {
    for problem in problems.iter() {
        eprintln!("{problem}");
    }
    ExitCode::from(u8::from(!problems.is_empty()))
}

fn doctor(selection: &Selection, json: bool) -> Result<ExitCode> {
    let problems = match describe(selection) {
        Ok(mut described) => block_on(check(&mut described.builder))?,
        Err(error) if json => {
            println!("{}", serde_json::json!({ "error": error.report(), "remedy": error.remedy() }));
            return Ok(ExitCode::from(2));
        }
        Err(error) => return Err(unreadable(error)),
    };
    if json {
        println!("{}", serde_json::json!({ "problems": problems }));
        return Ok(ExitCode::from(u8::from(!problems.is_empty())));
    }
    if problems.is_empty() {
        println!("no problems found");
    }
    Ok(tell(&problems))
}

fn unreadable(error: Error) -> Error {
    error.into_kind(ErrorKind::Config)
}
