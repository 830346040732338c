//! Everything that is wrong with a graph, in one report.

use std::collections::BTreeMap;

use super::{Graph, OperatorInfo, Role};
use crate::config::Problems;

/// Checks that every stream ends somewhere, and that there is something to do.
pub fn check_ends(graph: &Graph, problems: &mut Problems) {
    for end in graph.open_ends.values() {
        let OperatorInfo { name, role, place, .. } = &end.last;
        let (code, message) = match role {
            Role::Source => ("unused-source", format!("the source `{name}` is read by nobody")),
            _ => ("no-sink", format!("the stream behind `{name}` ends nowhere")),
        };
        problems.add(code, place, message, "end it in `.sink::<…>()` or `.for_each(…)`, or remove it");
    }
    // The stage that takes dirty records is there in any case.
    let has_source = graph.stages.iter().any(|node| node.info.head.role == Role::Source);
    if !has_source && graph.open_ends.is_empty() {
        problems.add("empty-job", "job", "the job has no source", "begin with `job.source::<…>()?`");
    }
}

/// Checks that no two operators have the same id.
pub fn check_ids(graph: &Graph, problems: &mut Problems) {
    let mut seen: BTreeMap<_, &OperatorInfo> = BTreeMap::new();
    let stages = graph.stages.iter().map(|node| &node.info);
    for operator in stages.flat_map(|info| std::iter::once(&info.head).chain(&info.fused)) {
        if let Some(first) = seen.insert(&operator.id, operator) {
            let message = format!("the id `{}` is used twice, first at {}", operator.id, first.place);
            let remedy = match operator.role {
                Role::Sink => {
                    "join the streams by `union`, or give the struct a second connector with its own `name`"
                }
                _ => "give one of them another id by `.id(\"…\")`; state is restored by id",
            };
            problems.add("duplicate-id", operator.place, message, remedy);
        }
    }
}
