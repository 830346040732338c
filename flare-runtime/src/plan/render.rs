//! The graph for people: as text, and as a Mermaid diagram.

use std::fmt::Write as _;

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
    let all = std::iter::once(&info.head).chain(&info.fused);
    all.map(|operator: &OperatorInfo| operator.name.as_str()).collect::<Vec<_>>().join(" > ")
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
