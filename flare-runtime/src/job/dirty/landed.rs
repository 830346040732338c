//! Reads dirty records back from where they landed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::row::{SCHEMA, from_row};
use super::{COMMON, SECTION, default_sink};
use crate::api::{
    Binding, CreateSource, Decode, Format, Metrics, Payloads, Progress, ReadBack, SourceContext, decoder,
};
use crate::config::Problems;
use crate::connectors::files;
use crate::error::{Error, ErrorKind, Result};
use crate::job::builder::Builder;
use crate::model::{DirtyRecord, Meta, OperatorId, Splits, Timestamp};

/// Which dirty records are meant; what is absent does not choose.
#[derive(Clone, Debug, Default)]
pub(in crate::job) struct Filter {
    pub(in crate::job) stage: Option<String>,
    pub(in crate::job) operator: Option<String>,
    pub(in crate::job) kind: Option<String>,
    /// Turned aside at this moment or later.
    pub(in crate::job) since: Option<Timestamp>,
    /// Turned aside before this moment.
    pub(in crate::job) until: Option<Timestamp>,
    /// At most so many, the oldest first.
    pub(in crate::job) limit: Option<usize>,
}

impl Filter {
    fn chooses(&self, record: &DirtyRecord) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|wanted| wanted == text);
        is(&self.stage, &record.stage)
            && is(&self.operator, &record.operator)
            && is(&self.kind, &record.kind)
            && self.since.is_none_or(|since| record.rejected_at >= since)
            && self.until.is_none_or(|until| record.rejected_at < until)
    }
}

/// The dirty records of a job that a filter has chosen, the oldest first.
pub(in crate::job) struct Landed {
    /// Where they are.
    pub(in crate::job) place: String,
    pub(in crate::job) records: Vec<DirtyRecord>,
    /// How many records there are no dirty records, such as lines that a crash has torn.
    pub(in crate::job) unreadable: usize,
}

impl Landed {
    /// Reads those that `filter` chooses, from the file `from` or from where the configuration has them land.
    ///
    /// # Errors
    /// When that place cannot be read back.
    pub(in crate::job) async fn read(
        builder: &mut Builder,
        from: Option<&Path>,
        filter: &Filter,
    ) -> Result<Self> {
        let back = match from {
            Some(path) => ReadBack::Bytes(files::lines(path.to_owned())),
            None => read_back(builder)?,
        };
        let place = match (&back, builder.graph.dirty_stage) {
            (ReadBack::Rows(_), Some(stage)) => builder.graph.stages[stage].info.detail.clone(),
            (ReadBack::Rows(_), None) => SECTION.to_owned(),
            (ReadBack::Bytes(source), _) => source.describe(),
        };
        let mut taken = Taken::new(filter);
        match back {
            ReadBack::Bytes(source) => read_payloads(&*source, &mut taken).await?,
            ReadBack::Rows(rows) => rows.rows().await?.iter().for_each(|row| taken.take(from_row(row))),
        }
        let Taken { mut records, unreadable, .. } = taken;
        records.sort_by_key(|record| record.rejected_at);
        records.truncate(filter.limit.unwrap_or(usize::MAX));
        Ok(Self { place, records, unreadable })
    }

    /// How many there are by operator, stage and kind, with a cause of each.
    pub(in crate::job) fn text(&self) -> String {
        let mut text = format!("{} dirty records in {}", self.records.len(), self.place);
        if let (Some(first), Some(last)) = (self.records.first(), self.records.last()) {
            let _ = write!(text, ", turned aside from {} to {}", first.rejected_at, last.rejected_at);
        }
        text.push('\n');
        let mut groups: BTreeMap<_, (usize, &DirtyRecord)> = BTreeMap::new();
        for record in &self.records {
            let group = (&record.operator, &record.stage, &record.kind);
            groups.entry(group).or_insert((0, record)).0 += 1;
        }
        for ((operator, stage, kind), (count, example)) in groups {
            let causes = example.causes.join(": ");
            let _ = writeln!(text, "  {operator} {stage} {kind}: {count}, such as {}: {causes}", at(example));
        }
        if self.unreadable > 0 {
            let _ = writeln!(text, "  {} further records are no dirty records", self.unreadable);
        }
        text
    }
}

/// Where a dirty record was read, in words.
fn at(record: &DirtyRecord) -> String {
    if record.split.is_empty() { "unknown".to_owned() } else { format!("{}@{}", record.split, record.offset) }
}

/// What reads the sink of the section `dirty`.
fn read_back(builder: &mut Builder) -> Result<ReadBack> {
    if builder.dirty_taken {
        let message = "the job routes its dirty records in code, so nobody knows where they are; \
             name a file of them by `--from FILE`";
        return Err(Error::new(ErrorKind::Config, message).with("job", &builder.name));
    }
    let registry = std::sync::Arc::clone(&builder.registry);
    let attribute = Some(default_sink());
    let mut section = builder.config.section(SECTION, attribute.clone());
    let chosen = section.choose_connector(COMMON);
    drop(section);
    let sink = chosen.and_then(|(connector, _)| registry.get(&connector)?.sink.as_ref());
    let binding = Binding { section: SECTION.to_owned(), attribute, schema: SCHEMA };
    let back = sink.and_then(|sink| sink.read_back(&mut builder.opening(&binding, COMMON)));
    let problems: Problems = std::mem::take(&mut builder.problems);
    problems.into_result()?;
    back.ok_or_else(|| Error::new(ErrorKind::Config, "the section `dirty` has no connector"))
}

async fn read_payloads(source: &dyn CreateSource, taken: &mut Taken<'_>) -> Result<()> {
    let cx = SourceContext {
        restored: None,
        operator: OperatorId::from(SECTION),
        index: 0,
        parallelism: 1,
        splits: Splits::default(),
        metrics: Metrics::default(),
        replay: None,
    };
    let mut source = source.create(cx).await?;
    while source.read(taken).await? == Progress::More {
        taken.fresh = 0;
    }
    Ok(())
}

/// Takes the chosen records.
struct Taken<'a> {
    filter: &'a Filter,
    decode: Decode<DirtyRecord>,
    records: Vec<DirtyRecord>,
    unreadable: usize,
    /// Payloads taken in this read.
    fresh: usize,
}

impl<'a> Taken<'a> {
    fn new(filter: &'a Filter) -> Self {
        Self { filter, decode: decoder(Format::Json, SCHEMA), records: Vec::new(), unreadable: 0, fresh: 0 }
    }

    fn take(&mut self, record: Result<DirtyRecord>) {
        self.fresh += 1;
        match record {
            Ok(record) if self.filter.chooses(&record) => self.records.push(record),
            Ok(_) => {}
            Err(_) => self.unreadable += 1,
        }
    }
}

impl Payloads for Taken<'_> {
    fn push(&mut self, payload: &[u8], _meta: Meta) {
        let record = (self.decode)(payload);
        self.take(record);
    }

    fn reject(&mut self, _beginning: &[u8], _meta: Meta, error: Error) {
        self.take(Err(error));
    }

    fn is_full(&self) -> bool {
        self.fresh >= 1024
    }

    fn is_empty(&self) -> bool {
        self.fresh == 0
    }
}
