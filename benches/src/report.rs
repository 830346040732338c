//! The lines that a benchmark prints, and the same as JSON.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

/// One measured configuration.
#[derive(Clone, Debug)]
pub struct Line {
    bench: &'static str,
    case: String,
    figures: Vec<(String, f64)>,
}

impl Line {
    /// A line without figures yet.
    pub fn new(bench: &'static str, case: impl Into<String>) -> Self {
        Self { bench, case: case.into(), figures: Vec::new() }
    }

    /// Adds a figure; its name carries the unit.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: f64) -> Self {
        self.figures.push((name.into(), value));
        self
    }

    fn json(&self) -> Value {
        let texts = [("bench", self.bench.to_owned()), ("case", self.case.clone())];
        let texts = texts.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text)));
        let figures = self.figures.iter().map(|(name, value)| (name.clone(), Value::from(*value)));
        Value::Object(texts.chain(figures).collect::<Map<_, _>>())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bench={} case={}", self.bench, self.case)?;
        for (name, value) in &self.figures {
            // Four digits that count.
            let decimals = if value.abs() < 10.0 { 3 } else { usize::from(value.abs() < 1000.0) };
            write!(f, " {name}={value:.decimals$}")?;
        }
        Ok(())
    }
}

/// All lines of a benchmark.
#[derive(Debug)]
pub struct Report {
    lines: Vec<Line>,
    json: Option<PathBuf>,
}

impl Report {
    /// A report that is also written to the file `json`.
    pub fn new(json: Option<PathBuf>) -> Self {
        Self { lines: Vec::new(), json }
    }

    /// Prints a line and keeps it.
    pub fn add(&mut self, line: Line) {
        println!("{line}");
        self.lines.push(line);
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<()> {
        let Some(file) = self.json else { return Ok(()) };
        let lines: Vec<_> = self.lines.iter().map(Line::json).collect();
        let text = serde_json::to_string_pretty(&lines)?;
        std::fs::write(&file, text + "\n").with_context(|| format!("{} cannot be written", file.display()))
    }
}
