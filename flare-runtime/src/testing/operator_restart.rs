//! What an operator under test remembers, from one instance of it to the next.

use std::sync::Arc;

use super::operator_test::{OPERATOR, Operator, OperatorTest, expect};
use crate::api::Snapshot;
use crate::checkpoint::{Restore, Savepoint};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Key, KeyGroups, OperatorId, SubtaskId, Timestamp};
use crate::operators::keyed::{Bench, WATERMARK};
use crate::state::{SnapshotReader, SnapshotWriter};

impl<K: Key, T: 'static, U: Send + 'static, S> OperatorTest<K, T, U, S> {
    /// All that is remembered. The operator's id in it is `operator`.
    #[track_caller]
    pub fn savepoint(&mut self) -> Savepoint {
        let (groups, watermark) = (self.groups, self.watermark);
        let snapshot = |bench: &mut Bench<T, Operator<T, U>>| -> Result<Arc<Snapshot>> {
            let mut writer = SnapshotWriter::new(groups);
            writer.own(WATERMARK, &watermark)?;
            bench.operator.snapshot(&mut writer)?;
            Ok(Arc::new(writer.finish()))
        };
        let parts = expect(self.subtasks.iter_mut().map(snapshot).collect());
        Savepoint {
            job: "test".to_owned(),
            barrier: 0,
            taken_at: self.now,
            max_parallelism: groups.count,
            operators: [(OPERATOR.to_owned(), parts)].into(),
        }
    }

    /// Has a fresh operator go on with what this one remembers, through bytes: what it keeps in fields of its own is gone.
    #[track_caller]
    pub fn restart(&mut self) {
        self.restart_with(self.subtasks.len());
    }

    /// As [`OperatorTest::restart`], in so many subtasks: each has the keys that it would have in a job.
    #[track_caller]
    pub fn restart_with(&mut self, parallelism: usize) {
        let savepoint = expect(Savepoint::from_bytes(&self.savepoint().to_bytes()));
        expect(self.begin(savepoint, OPERATOR, parallelism));
    }

    /// Has a fresh operator go on with what one has remembered in a savepoint: `operator`, of another
    /// [`OperatorTest::savepoint`], or the id that it has in a job.
    ///
    /// # Errors
    /// `Config` when the savepoint has no such operator, or states that do not fit.
    pub fn restore(&mut self, savepoint: Savepoint, operator: &str) -> Result<()> {
        self.begin(savepoint, operator, self.subtasks.len())
    }

    fn begin(&mut self, savepoint: Savepoint, operator: &str, parallelism: usize) -> Result<()> {
        let groups = KeyGroups { count: savepoint.max_parallelism };
        let restore = Restore { savepoint: Arc::new(savepoint), drops_unread: false };
        let (mut subtasks, mut watermark) = (Vec::new(), Timestamp::MIN);
        let parallelism = parallelism.clamp(1, groups.count);
        for index in 0..parallelism {
            let subtask = SubtaskId { operator: OperatorId::from(operator), index };
            let restored = restore.part(&subtask, parallelism).ok_or_else(|| {
                let error = Error::new(ErrorKind::Config, "the savepoint has no such operator");
                error.with("operator", operator)
            })?;
            let reader = SnapshotReader::new(&restored, groups);
            watermark = reader.own(WATERMARK)?.into_iter().min().unwrap_or(Timestamp::MIN);
            let mut operator = (self.make)()?;
            operator.restore(&reader, self.now)?;
            reader.finish()?;
            subtasks.push(Bench::of(operator, index, watermark));
        }
        (self.groups, self.subtasks, self.watermark) = (groups, subtasks, watermark);
        Ok(())
    }
}
