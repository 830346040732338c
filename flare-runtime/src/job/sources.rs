//! The beginnings of streams.

use std::any::TypeId;
use std::future::Future;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::builder::{Builder, Check, Handle};
use super::declare::{Connected, ConnectorDeclaration, EventTimeOf, Generate};
use super::stream::{BoxedStream, OpenStage};
use crate::api::{Binding, CreateSource, Decode, Opening, Source, SourceContext, Subtask, decoder};
use crate::config::{Layer, Literal, Place, Setting, Settings, suggestion};
use crate::connectors::generator::{GENERATOR, GeneratorSettings, GeneratorSource};
use crate::connectors::memory::{Nothing, Values};
use crate::error::{Error, ErrorKind, Result};
use crate::operators::{
    Decoding, MakeTyped, OwnWatermark, Replaying, SourceSettings, SourceSubtask, TypedParts,
    WatermarkStrategy,
};
use crate::plan::{Graph, Role, StageInfo, Wiring};

/// A job while it is described: where streams begin.
pub struct Job {
    pub(crate) handle: Handle,
}

/// Makes a source's typed reader for one subtask.
type MakeSource<T> = Arc<dyn Fn(SourceContext) -> Making<T> + Send + Sync>;
type Making<T> = futures::future::BoxFuture<'static, Result<Box<dyn Source<T>>>>;

impl Job {
    /// Name of the job.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// assert_eq!(job.name(), "example");
    /// # job.values("numbers", vec![1]).for_each(|_| {});
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    pub fn name(&self) -> String {
        self.handle.lock().name.clone()
    }

    /// The stream of the struct's connector: `#[kafka]`, `#[files]` or `#[generator]`, or whatever configuration
    /// puts in its place.
    ///
    /// ```
    /// # use flare_runtime::{error::Result, job::{Job, declare::Connected}};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: u64 }
    /// # impl Connected for Order {}
    /// # fn describe(job: &mut Job) -> Result<()> {
    /// let orders = job.source::<Order>()?; // the struct has `#[kafka(topic = "orders")]`
    /// orders.for_each(|order| println!("{}", order.id));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the struct has several connectors; name one by [`Job::source_named`]. Wrong settings are collected and
    /// reported together before the job starts.
    #[track_caller]
    pub fn source<T: Connected + DeserializeOwned + Send + 'static>(&mut self) -> Result<BoxedStream<T>> {
        let declared = Arc::clone(&self.handle.lock().declared);
        let mut candidates = declared.connectors_of(TypeId::of::<T>());
        if candidates.len() > 1 {
            let registry = Arc::clone(&self.handle.lock().registry);
            candidates.retain(|candidate| {
                candidate.connector == GENERATOR
                    || registry.get(candidate.connector).is_none_or(|connector| connector.source.is_some())
            });
        }
        let declaration = only::<T>(&candidates, "source")?;
        self.open_source(declaration, Place::here())
    }

    /// As [`Job::source`], by the connector's name, for a struct with several.
    ///
    /// ```
    /// # use flare_runtime::{error::Result, job::{Job, declare::Connected}};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: u64 }
    /// # impl Connected for Order {}
    /// # fn describe(job: &mut Job) -> Result<()> {
    /// // The struct has `#[kafka(topic = "orders")]` and `#[files(name = "archive", path = "orders")]`.
    /// let (live, archive) = (job.source_named::<Order>("Order")?, job.source_named::<Order>("archive")?);
    /// live.union(archive).for_each(|order| println!("{}", order.id));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the struct has no connector of that name.
    #[track_caller]
    pub fn source_named<T: Connected + DeserializeOwned + Send + 'static>(
        &mut self,
        name: &str,
    ) -> Result<BoxedStream<T>> {
        let declared = Arc::clone(&self.handle.lock().declared);
        let declaration = named::<T>(&declared.connectors_of(TypeId::of::<T>()), name)?;
        self.open_source(declaration, Place::here())
    }

    /// A stream of these records, for tests and small inputs.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// job.values("numbers", vec![1, 2, 3]).for_each(|n| println!("{n}"));
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn values<T: Clone + Send + Sync + 'static>(&mut self, name: &str, values: Vec<T>) -> BoxedStream<T> {
        let values = Arc::new(values);
        let make: MakeSource<T> = Arc::new(move |cx| {
            let source = Values::new(Arc::clone(&values), &cx);
            Box::pin(async move { Ok(Box::new(source?) as Box<dyn Source<T>>) })
        });
        self.start_own(name, Place::here(), make, false).parallelism(1)
    }

    /// A stream of a source of the user's own; `make` makes it for each subtask.
    ///
    /// ```
    /// # use flare_runtime::{api::{Intake, Progress, Source}, error::Result};
    /// # struct Sensor;
    /// # impl Sensor { async fn connect(_: usize) -> Result<Self> { Ok(Self) } }
    /// # #[async_trait::async_trait]
    /// # impl Source<f64> for Sensor {
    /// #     async fn read(&mut self, _: &mut Intake<f64>) -> Result<Progress> { Ok(Progress::End) }
    /// # }
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// // `Sensor` implements `flare::source::Source<f64>`; each subtask has its own.
    /// let readings = job.source_with("sensors", |cx| Sensor::connect(cx.index));
    /// readings.for_each(|celsius| println!("{celsius}"));
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn source_with<T, R, F, M>(&mut self, name: &str, make: F) -> BoxedStream<T>
    where
        T: Send + 'static,
        R: Source<T> + 'static,
        F: Fn(SourceContext) -> M + Send + Sync + 'static,
        M: Future<Output = Result<R>> + Send + 'static,
    {
        let make: MakeSource<T> = Arc::new(move |cx| {
            let making = make(cx);
            Box::pin(async move { Ok(Box::new(making.await?) as Box<dyn Source<T>>) })
        });
        // Whether it does is not known here.
        self.start_own(name, Place::here(), make, true)
    }

    /// Starts a source without a connector, whose records can have an event time if `gives_time`.
    fn start_own<T: Send + 'static>(
        &mut self,
        name: &str,
        place: Place,
        make: MakeSource<T>,
        gives_time: bool,
    ) -> BoxedStream<T> {
        let mut builder = self.handle.lock();
        let path = format!("source.{name}");
        let Builder { config, problems, .. } = &mut *builder;
        let mut section = config.section(&path, None);
        let settings = SourceSettings::read(&mut section, problems);
        section.finish(problems);
        let head = builder.named(&path, Role::Source, place);
        drop(builder);
        let info = StageInfo { detail: "own source".to_owned(), gives_time, ..StageInfo::new(head) };
        self.start(info, make, settings, None, false)
    }

    fn open_source<T: DeserializeOwned + Send + 'static>(
        &mut self,
        declaration: &'static ConnectorDeclaration,
        place: Place,
    ) -> Result<BoxedStream<T>> {
        let path = format!("source.{}", declaration.name);
        let mut builder = self.handle.lock();
        let head = builder.named(&path, Role::Source, place);
        let opened = match builder.is_tested() {
            true => open_mock::<T>(&mut builder, declaration, &path),
            false => open::<T>(&mut builder, declaration, &path),
        };
        let Some(opened) = opened else {
            // The problem is noted, and the job will not start; the description goes on to find further ones.
            let broken: MakeSource<T> = Arc::new(|_| {
                Box::pin(async { Err(Error::new(ErrorKind::Config, "the source has no valid settings")) })
            });
            drop(builder);
            let info = StageInfo { gives_time: true, ..StageInfo::new(head) };
            return Ok(self.start(info, broken, None, None, false));
        };
        // What stands in for a source may say when its records happened.
        let gives_time = builder.is_tested() || opened.event_time.is_some();
        drop(builder);
        let Opened { detail, replayable, make, settings, event_time, keeps_time } = opened;
        let info = StageInfo { detail, replayable, gives_time, ..StageInfo::new(head) };
        Ok(self.start(info, make, Some(settings), event_time, keeps_time))
    }

    fn start<T: Send + 'static>(
        &self,
        info: StageInfo,
        make: MakeSource<T>,
        settings: Option<SourceSettings>,
        event_time: Option<EventTimeOf<T>>,
        keeps_time: bool,
    ) -> BoxedStream<T> {
        let handle = self.handle.clone();
        let (metrics, splits) = {
            let builder = handle.lock();
            (builder.metrics.clone(), builder.splits.clone())
        };
        let (replayable, keeping) = (info.replayable, handle.lock().keeping());
        let alignment = handle.lock().alignment.clone();
        if settings.as_ref().is_some_and(|settings| settings.max_drift.is_some()) {
            alignment.uses();
        }
        let build = move |wiring: &mut Wiring, downstream| -> Box<dyn Subtask> {
            let cx = SourceContext {
                operator: wiring.subtask.operator.clone(),
                index: wiring.subtask.index,
                parallelism: wiring.parallelism,
                splits: splits.clone(),
                metrics: metrics.clone(),
                restored: None,
                replay: wiring.replay.clone(),
            };
            let settings = settings.clone().expect("a job with problems is not started");
            let make = Arc::clone(&make);
            let make: MakeTyped<T> = Box::new(move |restored| match cx.replay {
                Some(_) if !replayable => Box::pin(async { Ok(Box::new(Nothing) as Box<dyn Source<T>>) }),
                _ => make(SourceContext { restored, ..cx }),
            });
            let watermarks = event_time.map(|read| WatermarkStrategy {
                time: Arc::new(read),
                out_of_orderness: settings.out_of_orderness,
                own: keeps_time.then(|| Arc::new(|_: &T, _| None) as OwnWatermark<T>),
                idle_after: settings.idle_after,
            });
            let member = || alignment.member(wiring.subtask.clone(), settings.max_drift);
            let aligned = alignment.is_used().then(member);
            let keeping = keeping(wiring);
            let parts = TypedParts { make, settings, watermarks, keeping, aligned };
            Box::new(SourceSubtask::new(parts, downstream))
        };
        // A source reads no ports, so the type of its input does not matter.
        let add = Box::new(Graph::add_stage::<T>);
        BoxedStream::from_stage(&handle, OpenStage { info, build: Box::new(build), reads: Vec::new(), add })
    }
}

struct Opened<T> {
    detail: String,
    replayable: bool,
    make: MakeSource<T>,
    settings: SourceSettings,
    event_time: Option<EventTimeOf<T>>,
    /// Whether it says itself how far event time has come.
    keeps_time: bool,
}

/// Reads the section and asks the connector; `None` with problems noted.
fn open<T: DeserializeOwned + Send + 'static>(
    builder: &mut Builder,
    declaration: &'static ConnectorDeclaration,
    path: &str,
) -> Option<Opened<T>> {
    let registry = Arc::clone(&builder.registry);
    let own = registry.get(declaration.connector).and_then(|connector| connector.source.as_ref());
    let attribute = Some(source_attribute(declaration, own.map_or(&[], |source| source.settings())));
    let mut section = builder.config.section(path, attribute.clone());
    let (connector, _) = section.choose_connector(SourceSettings::ALL)?;
    if connector == GENERATOR {
        return open_generator(builder, declaration, path);
    }
    let settings = SourceSettings::read(&mut section, &mut builder.problems);
    let found = registry.get(&connector).and_then(|known| known.source.as_ref());
    let Some(source) = found else {
        no_connector(builder, path, &connector, "source");
        return None;
    };
    let schema = declaration.schema;
    let binding = Binding { section: path.to_owned(), attribute, schema };
    let replayable = source.capability().replayable;
    let source = source.open(&mut builder.opening(&binding, SourceSettings::ALL));
    let source: Arc<dyn CreateSource> = Arc::from(source?);
    builder.checks.push(Check::Source(Arc::clone(&source), path.to_owned()));
    let settings = settings?;
    let (detail, format) = (source.describe(), settings.format);
    let make: MakeSource<T> = Arc::new(move |cx| {
        let source = Arc::clone(&source);
        Box::pin(async move { decoding(&*source, decoder(format, schema), cx).await })
    });
    Some(Opened {
        detail,
        replayable,
        make,
        settings,
        event_time: event_time(declaration),
        keeps_time: false,
    })
}

/// As [`open`], in a test: what stands in for the source.
fn open_mock<T: DeserializeOwned + Send + 'static>(
    builder: &mut Builder,
    declaration: &'static ConnectorDeclaration,
    path: &str,
) -> Option<Opened<T>> {
    let mock = builder.mocked_source::<T>(declaration.name)?;
    let mut section = builder.config.section(path, Some(source_attribute(declaration, &[])));
    section.choose_connector(SourceSettings::ALL);
    let settings = SourceSettings::read(&mut section, &mut builder.problems)?;
    let (format, schema, keeps_time) = (settings.format, declaration.schema, mock.keeps_time);
    let make: MakeSource<T> = Arc::new(move |cx| {
        let source = (mock.make)(cx, decoder(format, schema));
        Box::pin(async move { Ok(source) })
    });
    let (detail, event_time) = ("mock".to_owned(), event_time(declaration));
    Some(Opened { detail, replayable: false, make, settings, event_time, keeps_time })
}

/// The typed reader of one subtask, in a replay as well.
async fn decoding<T: Send + 'static>(
    source: &dyn CreateSource,
    decode: Decode<T>,
    cx: SourceContext,
) -> Result<Box<dyn Source<T>>> {
    let Some(replay) = cx.replay.clone() else {
        return Ok(Box::new(Decoding::new(source.create(cx).await?, decode)));
    };
    let reader = match replay.offsets().is_empty() {
        true => None,
        false => Some(source.create(cx.clone()).await?),
    };
    Ok(Box::new(Replaying::new(reader, decode, cx, replay)))
}

/// As [`open`], where configuration or the attribute chose a generator. The function may be that of another attribute
/// of the struct, whose arguments then count, too.
fn open_generator<T: Send + 'static>(
    builder: &mut Builder,
    declaration: &'static ConnectorDeclaration,
    path: &str,
) -> Option<Opened<T>> {
    let of_struct = builder.declared.connectors_of((declaration.type_id)());
    let mut candidates = std::iter::once(declaration).chain(of_struct);
    let found = candidates.find_map(|candidate| Some((candidate, candidate.generate?)));
    let Some((generator, generate)) = found else {
        let message = format!("`{}` has no generator", declaration.type_name);
        let remedy = "write `#[generator(with = …)]` on the struct, or choose another connector";
        builder.problems.add("no-generator", path, message, remedy);
        return None;
    };
    let generate = *generate().downcast::<Generate<T>>().expect("the macro emits the struct's own type");
    let Builder { config, problems, .. } = builder;
    let attribute = source_attribute(generator, GeneratorSettings::ALL);
    let mut section = config.section(path, Some(attribute));
    section.choose_connector(SourceSettings::ALL);
    let settings = SourceSettings::read(&mut section, problems);
    let own = GeneratorSettings::read(&mut section, problems);
    section.finish(problems);
    let own = own?;
    let detail = own.describe();
    let make: MakeSource<T> = Arc::new(move |cx| {
        let source = GeneratorSource::new(generate, &own, &cx);
        Box::pin(async move { Ok(Box::new(source?) as Box<dyn Source<T>>) })
    });
    let event_time = event_time(generator).or_else(|| event_time(declaration));
    Some(Opened { detail, replayable: false, make, settings: settings?, event_time, keeps_time: false })
}

/// The attribute's arguments that a source reads, beside the `own` settings of its connector.
fn source_attribute(declaration: &ConnectorDeclaration, own: &[Setting]) -> Layer {
    let all = || SourceSettings::ALL.iter().chain(own);
    attribute(declaration, |name| all().any(|setting| setting.name == name))
}

fn event_time<T: 'static>(declaration: &ConnectorDeclaration) -> Option<EventTimeOf<T>> {
    let erased = declaration.event_time?;
    Some(*erased().downcast::<EventTimeOf<T>>().expect("the macro emits the struct's own type"))
}

impl Builder {
    pub(super) fn opening<'a>(&'a mut self, binding: &'a Binding, common: &'static [Setting]) -> Opening<'a> {
        let Self { name, config, resources, problems, .. } = self;
        Opening { binding, job: name, config, resources, problems, common }
    }
}

/// The attribute's arguments that concern this role, with its connector.
pub(super) fn attribute(declaration: &ConnectorDeclaration, allowed: impl Fn(&str) -> bool) -> Layer {
    let connector = ("connector", Literal::Text(declaration.connector));
    let arguments = declaration.arguments.iter().copied().filter(|(name, _)| allowed(name));
    let all: Vec<_> = std::iter::once(connector).chain(arguments).collect();
    Layer::attribute(declaration.place, &all)
}

/// Notes that the chosen connector cannot be had, and why.
pub(super) fn no_connector(builder: &mut Builder, path: &str, connector: &str, role: &str) {
    let place = format!("{path}.connector");
    builder.config.pass_over(path);
    let problems = &mut builder.problems;
    if let Some(feature) = builder.registry.missing_feature(connector) {
        let message = format!("the connector `{connector}` is not in this build");
        let remedy = format!(
            "switch on the feature `{feature}` of `flare`: `features = [\"{feature}\"]` in Cargo.toml, or \
             `cargo run --features {feature}` where the package passes it on"
        );
        problems.add("missing-feature", place, message, remedy);
    } else if builder.registry.get(connector).is_some() {
        let message = format!("the connector `{connector}` offers no {role}");
        problems.add("unsupported", place, message, "choose another connector");
    } else {
        let message = format!("there is no connector `{connector}`");
        let remedy = suggestion(connector, builder.registry.names());
        problems.add("unknown-connector", place, message, remedy);
    }
}

/// The one connector that fits a role.
pub(super) fn only<T>(
    candidates: &[&'static ConnectorDeclaration],
    role: &str,
) -> Result<&'static ConnectorDeclaration> {
    match candidates {
        [one] => Ok(one),
        [] => Err(Error::new(ErrorKind::Config, format!("the struct has no connector that can be a {role}"))
            .with("struct", std::any::type_name::<T>())),
        several => {
            let names: Vec<_> = several.iter().map(|candidate| candidate.name).collect();
            let message =
                format!("the struct has several connectors; name one by `{role}_named::<…>(\"…\")`");
            let error = Error::new(ErrorKind::Config, message).with("struct", std::any::type_name::<T>());
            Err(error.with("connectors", names.join(", ")))
        }
    }
}

/// The connector of that name.
pub(super) fn named<T>(
    candidates: &[&'static ConnectorDeclaration],
    name: &str,
) -> Result<&'static ConnectorDeclaration> {
    let found = candidates.iter().find(|candidate| candidate.name == name).copied();
    found.ok_or_else(|| {
        let message = "the struct has no connector of this name";
        let error = Error::new(ErrorKind::Config, message).with("struct", std::any::type_name::<T>());
        error
            .with("name", name)
            .with_remedy(suggestion(name, candidates.iter().map(|candidate| candidate.name)))
    })
}
