//! The dirty-data output: a stream for the job's author, or a sink by configuration alone; and the way back.

mod landed;
mod replay;
mod row;

pub(super) use landed::{Filter, Landed};
pub(super) use replay::ReplayPlan;

use self::row::{AsRow, SCHEMA};
use super::builder::Builder;
use super::settings::DirtySettings;
use super::sinks::{open_sink, stage, with_groups};
use super::sources::Job;
use super::stand_ins;
use super::stream::{BoxedStream, OpenStage};
use crate::api::{Binding, ByteBatch, Encode, Format, RowBatch, SinkFactory, Subtask, encoder};
use crate::config::{Layer, Literal, Place, Problems, Setting, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::model::DirtyRecord;
use crate::operators::{Relay, SinkSettings};
use crate::plan::{Build, Graph, OperatorInfo, Role, StageInfo, StageNode, Wiring};

/// Id of the stage that takes dirty records, and the section of its settings.
pub(super) const SECTION: &str = "dirty";

const COMMON: &[Setting] = &{
    let sink = with_groups::<{ SinkSettings::ALL.len() + 1 }>(SinkSettings::ALL, &["retry"]);
    let mut all = [sink[0]; SinkSettings::ALL.len() + 1 + DirtySettings::ALL.len()];
    let mut index = 0;
    while index < all.len() {
        all[index] = if index < sink.len() { sink[index] } else { DirtySettings::ALL[index - sink.len()] };
        index += 1;
    }
    all
};

impl Job {
    /// The stream of dirty records, to be routed in code. Without it they go to the sink that the section `dirty` of
    /// the configuration names, by default the log.
    ///
    /// What fails behind this stream cannot be turned aside again: it fails the job.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// job.dirty()?.for_each(|record| eprintln!("{}: {}", record.operator, record.causes.join(": ")));
    /// let texts = job.values("texts", vec!["1".to_owned(), "one".to_owned()]);
    /// texts.try_map(|text| text.parse::<u32>()).for_each(|n| println!("{n}"));
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    ///
    /// # Errors
    /// When it is called twice; use [`Stream::shared`](super::Stream::shared) for several readers.
    #[track_caller]
    pub fn dirty(&mut self) -> Result<BoxedStream<DirtyRecord>> {
        let place = Place::here();
        let mut builder = self.handle.lock();
        if builder.dirty_taken {
            return Err(Error::new(
                ErrorKind::Config,
                "`job.dirty()` is called twice; use `.shared()` on the first",
            ));
        }
        builder.dirty_taken = true;
        let head = builder.named(SECTION, Role::Transform, place);
        drop(builder);
        let info = info(head, "dirty records".to_owned());
        let build = |wiring: &mut Wiring, downstream| -> Box<dyn Subtask> {
            Box::new(Relay::new(wiring.input::<DirtyRecord>(), downstream))
        };
        let add = |graph: &mut Graph, node: StageNode, reads: &[crate::plan::PortRef]| {
            let stage = graph.add_stage::<DirtyRecord>(node, reads);
            graph.dirty_stage = Some(stage);
            stage
        };
        Ok(BoxedStream::from_stage(
            &self.handle,
            OpenStage { info, build: Box::new(build), reads: Vec::new(), add: Box::new(add) },
        ))
    }
}

const CONFIGURATION: Place = Place { file: "configuration", line: 0 };

/// Where dirty records go when nothing is configured.
fn default_sink() -> Layer {
    Layer::defaults(&[("connector", Literal::Text("log")), ("level", Literal::Text("warn"))])
}

fn info(head: OperatorInfo, detail: String) -> StageInfo {
    StageInfo { parallelism: Some(1), detail, behind_dirty: true, ..StageInfo::new(head) }
}

/// Adds the sink that configuration names, unless the job has taken the dirty records itself.
pub(super) fn add_sink(builder: &mut Builder) {
    if builder.dirty_taken {
        let mut section = builder.config.section(SECTION, None);
        section.allow(DirtySettings::ALL);
        let mut unknown = Problems::default();
        section.finish(&mut unknown);
        for problem in unknown.iter() {
            let message =
                "the job routes its dirty records in code, by `job.dirty()`, so no sink of theirs is read";
            let remedy = "remove the setting, or the call; only the budget is set here then";
            builder.problems.add("unknown-setting", &problem.place, message, remedy);
        }
        return;
    }
    let test = builder.stand_ins.as_ref().map(|stand_ins| stand_ins.dirty.clone());
    if let Some(take) = test {
        let head = builder.named(SECTION, Role::Sink, CONFIGURATION);
        let build = stand_ins::sink_stage(take, |_| Vec::new());
        let node = StageNode { info: info(head, "test".to_owned()), build };
        builder.graph.dirty_stage = Some(builder.graph.add_stage::<DirtyRecord>(node, &[]));
        return;
    }
    let binding = Binding { section: SECTION.to_owned(), attribute: Some(default_sink()), schema: SCHEMA };
    let opened = open_sink(builder, &binding, COMMON, 1);
    let head = builder.named(SECTION, Role::Sink, CONFIGURATION);
    let detail = opened.as_ref().map(|opened| opened.factory.describe()).unwrap_or_default();
    let metrics = builder.metrics.clone();
    let build: Build = match opened.map(|opened| (opened.factory.clone(), opened)) {
        None => Box::new(|_| unreachable!("a job with problems is not started")),
        Some((SinkFactory::Bytes(factory), opened)) => {
            let format = opened.format();
            refuse_csv(format, &mut builder.problems);
            let encode =
                move || -> Box<dyn Encode<DirtyRecord, ByteBatch>> { Box::new(encoder(format, None)) };
            stage(opened, factory, metrics, encode, ByteBatch::default)
        }
        Some((SinkFactory::Rows(factory), opened)) => {
            let encode = || -> Box<dyn Encode<DirtyRecord, RowBatch>> { Box::new(AsRow) };
            stage(opened, factory, metrics, encode, || RowBatch::new(SCHEMA))
        }
    };
    let stage = builder.graph.add_stage::<DirtyRecord>(StageNode { info: info(head, detail), build }, &[]);
    builder.graph.dirty_stage = Some(stage);
}

/// Notes that dirty records cannot be written as CSV.
fn refuse_csv(format: Format, problems: &mut Problems) {
    if format == Format::Csv {
        let message = "a dirty record cannot be written as CSV: its causes are a list";
        problems.add("bad-value", format!("{SECTION}.format"), message, "write `format = \"json\"`");
    }
}
