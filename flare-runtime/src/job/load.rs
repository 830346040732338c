//! From a binary and its arguments to a described job.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::builder::{Builder, Handle, Start};
use super::declare::JobDeclaration;
use super::declared::Declared;
use super::dirty;
use super::registry::built_in;
use super::settings::{DirtySettings, JobSettings};
use super::sources::Job;
use super::stand_ins::StandIns;
use crate::config::{Config, Layer, Literal, Place, Problems, Settings, suggestion};
use crate::error::{Error, ErrorKind, Result};
use crate::plan;
use crate::state::StateSettings;

/// What decides which configuration is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// The job's name; needed only when the binary holds several.
    pub(crate) job: Option<String>,
    /// `flare.<profile>.toml` is read above `flare.toml`.
    pub(crate) profile: Option<String>,
    /// A configuration file instead of the `flare.toml` found by itself.
    pub(crate) config: Option<PathBuf>,
    /// `KEY=VALUE` from the command line.
    pub(crate) settings: Vec<String>,
    /// Where the binary's own `flare.toml` lies, for when the working directory has none; without it, none is looked
    /// for.
    pub(crate) default_config: Option<PathBuf>,
    /// The variables of the environment; those that begin with `FLARE_` are settings.
    pub(crate) environment: Vec<(String, String)>,
}

/// A job to be described: one that `#[flare_job]` declares, or a function at hand.
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) arguments: &'static [(&'static str, Literal)],
    pub(crate) describe: Box<dyn FnOnce(&mut Job) -> Result<()>>,
    /// What a test puts in the place of sources, sinks and lookups.
    pub(crate) stand_ins: Option<Arc<StandIns>>,
}

impl Subject {
    /// A job that `describe` describes.
    pub(crate) fn described(
        name: &str,
        place: Place,
        describe: impl FnOnce(&mut Job) -> Result<()> + 'static,
    ) -> Self {
        let describe = Box::new(describe);
        Self { name: name.to_owned(), place, arguments: &[], describe, stand_ins: None }
    }

    /// The declared job of this name.
    ///
    /// # Errors
    /// When there is no such job; without a name, when there are several.
    pub(crate) fn declared(name: Option<&str>) -> Result<Self> {
        let declared = Declared::collect(&mut Problems::default());
        choose(&declared, name).map(Self::from)
    }
}

impl From<&'static JobDeclaration> for Subject {
    fn from(job: &'static JobDeclaration) -> Self {
        let describe = Box::new(job.describe);
        let (name, place, arguments) = (job.name.to_owned(), job.place, job.arguments);
        Self { name, place, arguments, describe, stand_ins: None }
    }
}

/// A job that is described and checked as far as that needs nothing outside.
pub(crate) struct Described {
    pub(crate) builder: Builder,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) profile: Option<String>,
}

/// Describes the declared job that `selection` names.
///
/// # Errors
/// As [`describe_subject`], and when there is no such job.
pub(crate) fn describe(selection: &Selection) -> Result<Described> {
    describe_subject(Subject::declared(selection.job.as_deref())?, selection)
}

/// Merges the configuration and describes the job; what is wrong is in the builder's problems.
///
/// # Errors
/// `Config` when a configuration file cannot be read.
pub(crate) fn describe_subject(mut job: Subject, selection: &Selection) -> Result<Described> {
    let mut problems = Problems::default();
    let declared = Arc::new(Declared::collect(&mut problems));
    let files = files(selection)?;
    let mut config = merge(selection, &files)?;
    let mut section = config.section("job", Some(Layer::attribute(job.place, job.arguments)));
    let settings = JobSettings::read_or_default(&mut section, &mut problems);
    section.finish(&mut problems);
    let dirty = DirtySettings::read_or_default(&mut config.section("dirty", None), &mut problems);
    let mut section = config.section("state", None);
    let mut state = StateSettings::read_or_default(&mut section, &mut problems);
    section.finish(&mut problems);
    let base = config.base();
    state.directory = state.directory.map(|directory| base.join(directory).display().to_string());
    if let Some(feature) = state.missing_feature() {
        let remedy = format!("switch on the feature `{feature}` of `flare`, or write \"memory\"");
        problems.add("missing-feature", "state.backend", "this build keeps no state on disk", remedy);
    }
    let (name, registry) = (job.name.clone(), Arc::new(built_in()));
    let stand_ins = job.stand_ins.take();
    let start = Start { name, config, problems, registry, declared, settings, dirty, state, stand_ins };
    let builder = build(job, start)?;
    Ok(Described { builder, files, profile: selection.profile.clone() })
}

fn merge(selection: &Selection, files: &[PathBuf]) -> Result<Config> {
    let layers = files.iter().map(|file| Layer::file(file)).collect::<Result<Vec<_>>>()?;
    let base = files.first().and_then(|file| file.parent()).unwrap_or(Path::new(""));
    let command_line = Layer::command_line(&selection.settings)?;
    let environment = selection.environment.iter().cloned();
    Ok(Config::new(base.to_owned(), layers, environment, Some(command_line)))
}

/// Runs the user's function and checks what it made.
fn build(job: Subject, start: Start) -> Result<Builder> {
    let handle = Handle::new(Builder::new(start));
    let mut description = Job { handle: handle.clone() };
    let described = (job.describe)(&mut description);
    drop(description);
    let Some(mut builder) = handle.into_inner() else {
        let error = Error::new(ErrorKind::Config, "the job function kept a stream").with("job", job.name);
        return Err(error.with_remedy("end every stream before the function returns"));
    };
    dirty::add_sink(&mut builder);
    builder.graph.connect_dirty();
    let is_tested = builder.is_tested();
    if described.is_ok() {
        builder.check_stand_ins();
    }
    let Builder { graph, config, problems, declared, .. } = &mut builder;
    plan::check_ids(graph, problems);
    let used = graph.stages.iter().map(|node| node.info.head.id.0.as_ref()).collect();
    declared.check_names(&used, problems);
    match described {
        Ok(()) => {
            plan::check_ends(graph, problems);
            // What a test replaces leaves its sections unread.
            if is_tested {
                return Ok(builder);
            }
            for name in config.finish(&declared.sections().collect(), problems) {
                tracing::warn!("the environment's variable {name} is no setting of Flare and is passed over");
            }
        }
        Err(error) if error.is_consequence() && !problems.is_empty() => {}
        // What the function would have gone on to read and to end is not known.
        Err(error) => problems.add_error("job", job.place, &error),
    }
    Ok(builder)
}

fn choose(declared: &Declared, name: Option<&str>) -> Result<&'static JobDeclaration> {
    let names = || declared.jobs.iter().map(|job| job.name);
    let list = || names().collect::<Vec<_>>().join(", ");
    match (declared.jobs.as_slice(), name) {
        ([], _) => {
            let error = Error::new(ErrorKind::Config, "this binary has no job");
            Err(error.with_remedy("write `#[flare_job]` on a function"))
        }
        ([only], None) => Ok(only),
        (_, None) => {
            let error = Error::new(ErrorKind::Config, "this binary has several jobs").with("jobs", list());
            Err(error.with_remedy("choose one by `--job NAME`"))
        }
        (jobs, Some(name)) => jobs.iter().find(|job| job.name == name).copied().ok_or_else(|| {
            let message = "this binary has no job of this name";
            Error::new(ErrorKind::Config, message).with("job", name).with_remedy(suggestion(name, names()))
        }),
    }
}

/// The configuration files, lower ones first.
fn files(selection: &Selection) -> Result<Vec<PathBuf>> {
    let first = match &selection.config {
        Some(given) if given.is_dir() => given.join("flare.toml"),
        Some(given) => given.clone(),
        None => {
            let found = selection.default_config.clone().map(|own| [PathBuf::from("flare.toml"), own]);
            let found = found.into_iter().flatten().find(|path| path.is_file());
            found.unwrap_or_else(|| PathBuf::from("flare.toml"))
        }
    };
    let mut files = Vec::new();
    if first.is_file() && (selection.config.is_some() || selection.default_config.is_some()) {
        files.push(first.clone());
    } else if selection.config.is_some() {
        let message = "the configuration file is not there";
        return Err(Error::new(ErrorKind::Config, message).with("file", first.display()));
    }
    if let Some(profile) = &selection.profile {
        let stem = first.file_stem().and_then(|stem| stem.to_str()).unwrap_or("flare");
        let file = first.with_file_name(format!("{stem}.{profile}.toml"));
        if !file.is_file() {
            let message = "the profile has no configuration file";
            let error = Error::new(ErrorKind::Config, message).with("profile", profile);
            return Err(error.with("file", file.display()));
        }
        files.push(file);
    }
    Ok(files)
}
