//! The graph as text, as a Mermaid diagram, and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::{EdgeInfo, Exchange, Graph, OperatorInfo, StageInfo};

/// Every stage on a line, with what it reads from.
pub fn text(graph: &Graph, parallelism: usize) -> String {
    let mut text = String::new();
    for (index, node) in graph.stages.iter().enumerate() {
        let info = &node.info;
        let inputs: Vec<_> = graph.edges().filter(|edge| edge.to == index).collect();
        let from: Vec<_> = inputs.iter().map(|edge| source_of(edge)).collect();
        let from = if from.is_empty() { String::new() } else { format!(" <- {}", from.join(", ")) };
        let _ = writeln!(
            text,
            "  {index} {} x{}{}{from}",
            operators(info),
            info.parallelism.unwrap_or(parallelism),
            detail(info)
        );
    }
    text
}

fn operators(info: &StageInfo) -> String {
    all_operators(info).map(OperatorInfo::label).collect::<Vec<_>>().join(" > ")
}

fn all_operators(info: &StageInfo) -> impl Iterator<Item = &OperatorInfo> {
    std::iter::once(&info.head).chain(&info.fused)
}

fn detail(info: &StageInfo) -> String {
    if info.detail.is_empty() { String::new() } else { format!(" [{}]", info.detail) }
}

fn source_of(edge: &EdgeInfo) -> String {
    let how = match (edge.from.port, edge.from.exchange) {
        (Graph::DIRTY_PORT, _) => " (dirty)",
        (_, Exchange::Broadcast) => " (broadcast)",
        (_, Exchange::Rebalance) => " (rebalance)",
        (_, Exchange::Key) => " (key)",
        _ => "",
    };
    format!("{}{how}", edge.from.stage)
}

/// A Mermaid flowchart.
pub fn mermaid(graph: &Graph, parallelism: usize) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (index, node) in graph.stages.iter().enumerate() {
        let info = &node.info;
        let parallelism = info.parallelism.unwrap_or(parallelism);
        let detail = if info.detail.is_empty() { String::new() } else { format!("<br/>{}", info.detail) };
        let label = format!("{}{detail}<br/>x{parallelism}", operators(info)).replace('"', "#quot;");
        let _ = writeln!(text, "  s{index}[\"{label}\"]");
    }
    for edge in graph.edges() {
        let arrow = if edge.from.port == Graph::DIRTY_PORT { "-. dirty .->" } else { "-->" };
        let _ = writeln!(text, "  s{} {arrow} s{}", edge.from.stage, edge.to);
    }
    text
}

/// A stage for programs.
#[derive(Serialize)]
pub struct StageOutline<'g> {
    id: &'g str,
    name: &'g str,
    operators: Vec<OperatorOutline<'g>>,
    parallelism: usize,
    detail: &'g str,
    inputs: Vec<InputOutline<'g>>,
}

#[derive(Serialize)]
struct OperatorOutline<'g> {
    id: &'g str,
    name: &'g str,
}

#[derive(Serialize)]
struct InputOutline<'g> {
    /// Id of the stage that it comes from.
    stage: &'g str,
    exchange: Exchange,
    /// Whether it carries the records that the stage has turned aside.
    dirty: bool,
}

/// Every stage with what it reads from.
pub fn outline(graph: &Graph, parallelism: usize) -> Vec<StageOutline<'_>> {
    let id = |stage: usize| &*graph.stages[stage].info.head.id.0;
    let input = |edge: &EdgeInfo| InputOutline {
        stage: id(edge.from.stage),
        exchange: edge.from.exchange,
        dirty: edge.from.port == Graph::DIRTY_PORT,
    };
    let stages = graph.stages.iter().map(|node| &node.info).enumerate();
    stages
        .map(|(index, info)| StageOutline {
            id: id(index),
            name: &info.head.name,
            operators: all_operators(info)
                .map(|operator| OperatorOutline { id: &operator.id.0, name: &operator.name })
                .collect(),
            parallelism: info.parallelism.unwrap_or(parallelism),
            detail: &info.detail,
            inputs: graph.edges().filter(|edge| edge.to == index).map(input).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Place;
    use crate::plan::{Role, StageNode};

    #[test]
    fn shows_names_and_ids_that_were_given() {
        let operator = |id: &str, name: &str| {
            let place = Place { file: "src/main.rs", line: 1 };
            OperatorInfo { id: id.into(), name: name.to_owned(), role: Role::Lookup, place }
        };
        let (head, fused) = (operator("city-by-id", "cities"), vec![operator("map-1", "map-1")]);
        let info = StageInfo { fused, ..StageInfo::new(head) };
        let mut graph = Graph::default();
        graph.add_stage::<()>(StageNode { info, build: Box::new(|_| unreachable!("never run")) }, &[]);
        assert_eq!(text(&graph, 2), "  0 cities (city-by-id) > map-1 x2\n");
        assert!(mermaid(&graph, 2).contains("cities (city-by-id) > map-1"));
        let outline = serde_json::to_value(outline(&graph, 2)).expect("plain data");
        assert_eq!((&outline[0]["id"], &outline[0]["name"]), (&"city-by-id".into(), &"cities".into()));
    }
}
