//! The ends of streams.

use std::any::TypeId;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde::Serialize;

use super::builder::{Builder, Check};
use super::declare::{Connected, ConnectorDeclaration};
use super::sources::{attribute, named, no_connector, only};
use super::stand_ins;
use super::stream::{Parts, Stream};
use crate::api::{
    Backoff, Binding, ByteBatch, Capability, CreateSink, Downstream, Encode, Format, Metrics, RowBatch,
    RowEncoder, Sink, SinkBatch, SinkContext, SinkFactory, Subtask, encoder,
};
use crate::config::{Place, Range, Setting, Settings};
use crate::connectors::generator::GENERATOR;
use crate::error::Result;
use crate::model::RowSchema;
use crate::operators::{SinkSettings, SinkSubtask, Step};
use crate::plan::{Build, Role, StageInfo, StageNode, Wiring};
use crate::wrappers::{RetrySettings, Retrying};

/// A stream of records that a sink takes.
#[diagnostic::on_unimplemented(
    message = "this stream carries `{Self}`, not `{Record}`",
    label = "the sink takes `{Record}`",
    note = "map the stream to `{Record}` first, or end it in the sink of `{Self}`"
)]
pub trait Carries<Record> {}

impl<T> Carries<T> for T {}

impl<S: Step> Stream<S> {
    /// Ends the stream in the struct's connector: `#[kafka]`, `#[jdbc]` or `#[files]`, or whatever configuration puts
    /// in its place.
    ///
    /// ```
    /// # use flare_runtime::{error::Result, job::{BoxedStream, declare::Connected}};
    /// # #[derive(serde::Serialize)]
    /// # struct WideOrder;
    /// # impl Connected for WideOrder {}
    /// # fn end(wide: BoxedStream<WideOrder>) -> Result<()> {
    /// wide.sink::<WideOrder>()?; // the struct has `#[jdbc(datasource = "dw", table = "order_wide")]`
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the struct has several connectors; name one by [`Stream::sink_named`]. Wrong settings are collected and
    /// reported together before the job starts.
    #[track_caller]
    pub fn sink<T>(self) -> Result<()>
    where
        T: Connected + Serialize + Send + 'static,
        S::Out: Carries<T>,
    {
        let place = Place::here();
        let (declared, registry) = {
            let builder = self.job().lock();
            (Arc::clone(&builder.declared), Arc::clone(&builder.registry))
        };
        let mut candidates = declared.connectors_of(TypeId::of::<T>());
        if candidates.len() > 1 {
            candidates.retain(|candidate| {
                candidate.connector != GENERATOR
                    && registry.get(candidate.connector).is_none_or(|connector| connector.sink.is_some())
            });
        }
        self.end_in::<T>(only::<T>(&candidates, "sink")?, place);
        Ok(())
    }

    /// As [`Stream::sink`], by the connector's name, for a struct with several.
    ///
    /// ```
    /// # use flare_runtime::{error::Result, job::{BoxedStream, declare::Connected}};
    /// # #[derive(serde::Serialize)]
    /// # struct WideOrder;
    /// # impl Connected for WideOrder {}
    /// # fn end(wide: BoxedStream<WideOrder>) -> Result<()> {
    /// wide.sink_named::<WideOrder>("archive")?; // it has `#[jdbc(…)]` and `#[files(name = "archive", …)]`
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the struct has no connector of that name.
    #[track_caller]
    pub fn sink_named<T>(self, name: &str) -> Result<()>
    where
        T: Connected + Serialize + Send + 'static,
        S::Out: Carries<T>,
    {
        let place = Place::here();
        let declared = Arc::clone(&self.job().lock().declared);
        let declaration = named::<T>(&declared.connectors_of(TypeId::of::<T>()), name)?;
        self.end_in::<T>(declaration, place);
        Ok(())
    }

    fn end_in<T>(self, declaration: &'static ConnectorDeclaration, place: Place)
    where
        T: Serialize + Send + 'static,
        S::Out: Carries<T>,
    {
        // `Carries` has one implementation, for the type itself: `S::Out` and `T` are the same, and so are the
        // channels of the two.
        let Parts { job, ports, behind_dirty } = self.into_ports(None);
        let path = format!("sink.{}", declaration.name);
        let mut builder = job.lock();
        let head = builder.named(&path, Role::Sink, place);
        let registry = Arc::clone(&builder.registry);
        let own = registry.get(declaration.connector).and_then(|connector| connector.sink.as_ref());
        let own: &[Setting] = own.map_or(&[], |sink| sink.settings());
        let allowed = |name: &str| COMMON.iter().chain(own).any(|setting| setting.name == name);
        let attribute = Some(attribute(declaration, allowed));
        let mut info = StageInfo { behind_dirty, ..StageInfo::new(head) };
        builder.configure(&mut info);
        if builder.is_tested() {
            if let Some(take) = builder.mocked_sink::<T>(declaration.name) {
                info.detail = "test".to_owned();
                let raw = |record: &T| serde_json::to_vec(record).unwrap_or_default();
                let build = stand_ins::sink_stage(take, raw);
                builder.graph.add_stage::<T>(StageNode { info, build }, &ports);
            }
            return;
        }
        let subtasks = info.parallelism.unwrap_or(builder.settings.parallelism);
        let binding = Binding { section: path, attribute, schema: declaration.schema };
        let opened = open_sink(&mut builder, &binding, COMMON, subtasks);
        info.detail = opened.as_ref().map(|opened| opened.factory.describe()).unwrap_or_default();
        let build: Build = match opened {
            Some(opened) => sink_stage::<T>(opened, builder.metrics.clone(), declaration.schema),
            None => Box::new(|_| unreachable!("a job with problems is not started")),
        };
        builder.graph.add_stage::<T>(StageNode { info, build }, &ports);
    }
}

/// The settings that every sink has.
const COMMON: &[Setting] = &with_groups::<{ SinkSettings::ALL.len() + 1 }>(SinkSettings::ALL, &["retry"]);

/// Settings, and the names of groups that stand beside them in a section.
pub(super) const fn with_groups<const N: usize>(
    settings: &[Setting],
    groups: &[&'static str],
) -> [Setting; N] {
    const GROUP: Setting = Setting {
        name: "",
        ty: "table",
        range: Range::Any,
        default: None,
        live: false,
        doc: "",
        accepts: |_| false,
    };
    let mut all = [GROUP; N];
    let mut index = 0;
    while index < N {
        if index < settings.len() {
            all[index] = settings[index];
        } else {
            all[index].name = groups[index - settings.len()];
        }
        index += 1;
    }
    all
}

/// A sink whose settings are read.
pub(super) struct OpenSink {
    pub(super) factory: SinkFactory,
    settings: SinkSettings,
    retry: RetrySettings,
    capability: Capability,
}

impl OpenSink {
    /// How a record becomes a payload.
    pub(super) fn format(&self) -> Format {
        self.settings.format
    }
}

/// Reads the section and asks the connector; `None` with problems noted.
pub(super) fn open_sink(
    builder: &mut Builder,
    binding: &Binding,
    common: &'static [Setting],
    subtasks: usize,
) -> Option<OpenSink> {
    let path = binding.section.as_str();
    let Builder { config, problems, .. } = &mut *builder;
    let mut section = config.section(path, binding.attribute.clone());
    let chosen = section.choose_connector(common);
    let settings = SinkSettings::read(&mut section, problems);
    let mut group = section.group("retry");
    let retry = RetrySettings::read(&mut group, problems);
    group.finish(problems);
    if let Some(RetrySettings { backoff, max_backoff, .. }) = retry {
        Backoff::check(backoff, max_backoff, &format!("{path}.retry"), problems);
    }
    let Some((connector, _)) = chosen else {
        problems.add("missing-setting", format!("{path}.connector"), "the sink has no connector", "name one");
        return None;
    };
    let registry = Arc::clone(&builder.registry);
    let Some(sink) = registry.get(&connector).and_then(|known| known.sink.as_ref()) else {
        no_connector(builder, path, &connector, "sink");
        return None;
    };
    let factory = sink.open(&mut builder.opening(binding, common), subtasks)?;
    builder.prints |= sink.capability().standard_output;
    builder.checks.push(Check::Sink(factory.clone(), path.to_owned()));
    Some(OpenSink { factory, settings: settings?, retry: retry?, capability: sink.capability() })
}

/// The code of a sink's stage.
fn sink_stage<T: Serialize + Send + 'static>(opened: OpenSink, metrics: Metrics, schema: RowSchema) -> Build {
    let (format, key) = (opened.settings.format, opened.capability.keys.then_some(schema));
    match opened.factory.clone() {
        SinkFactory::Bytes(factory) => {
            let encode = move || -> Box<dyn Encode<T, ByteBatch>> { Box::new(encoder(format, key)) };
            stage(opened, factory, metrics, encode, ByteBatch::default)
        }
        SinkFactory::Rows(factory) => {
            let encode = || -> Box<dyn Encode<T, RowBatch>> { Box::new(RowEncoder) };
            stage(opened, factory, metrics, encode, move || RowBatch::new(schema))
        }
    }
}

/// As [`sink_stage`], for one shape of batches.
pub(super) fn stage<T: Serialize + Send + 'static, B: SinkBatch + 'static>(
    opened: OpenSink,
    factory: Arc<dyn CreateSink<B>>,
    metrics: Metrics,
    encode: impl Fn() -> Box<dyn Encode<T, B>> + Send + 'static,
    buffer: impl Fn() -> B + Send + 'static,
) -> Build {
    let OpenSink { settings, retry, capability, .. } = opened;
    Box::new(move |wiring: &mut Wiring| -> Box<dyn Subtask> {
        let cx = SinkContext {
            operator: wiring.subtask.operator.clone(),
            index: wiring.subtask.index,
            parallelism: wiring.parallelism,
            metrics: metrics.clone(),
            adds: wiring.replay.is_some(),
        };
        let retries = metrics.counter(&cx.operator.0, "retries");
        let (factory, retry) = (Arc::clone(&factory), retry.clone());
        let make: BoxFuture<'static, Result<Box<dyn Sink<B>>>> = Box::pin(async move {
            let sink = factory.create(cx).await?;
            Ok(Box::new(Retrying::new(sink, retry, capability.atomic_batches, retries)) as Box<dyn Sink<B>>)
        });
        Box::new(SinkSubtask {
            input: wiring.input::<T>(),
            make,
            encode: encode(),
            buffer: buffer(),
            batch: settings.batch.unwrap_or(capability.batch),
            settings: settings.clone(),
            downstream: Downstream::nowhere(wiring.context([].into())),
            raw: |record| serde_json::to_vec(record).unwrap_or_default(),
        })
    })
}
