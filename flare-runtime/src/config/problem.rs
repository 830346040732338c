//! What is wrong with a job before it starts, collected and told in one go.

use std::fmt;

use serde::Serialize;

use crate::error::{Error, ErrorKind};

/// One thing that keeps a job from starting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// A stable code: `unknown-setting`, `bad-value`, `no-sink`, …
    pub code: &'static str,
    /// Where: a setting with its file, a place in the source, an operator.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}: {}", self.code, self.place, self.message)?;
        if self.remedy.is_empty() {
            return Ok(());
        }
        write!(f, "\n    {}", self.remedy)
    }
}

/// All problems found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem.
    pub fn add(
        &mut self,
        code: &'static str,
        place: impl fmt::Display,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let problem =
            Problem { code, place: place.to_string(), message: message.into(), remedy: remedy.into() };
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Adds an error found while checking, under `code`.
    pub fn add_error(&mut self, code: &'static str, place: impl fmt::Display, error: &Error) {
        self.add(code, place, error.report(), "");
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of problems.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The problems in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// Moves in the problems of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// All problems as one error; `Ok` when there is none.
    ///
    /// # Errors
    /// `Config`, listing every problem.
    pub fn into_result(self) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let count = self.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        let list: String = self.0.iter().map(|problem| format!("\n  {problem}")).collect();
        let message = format!("the job cannot start, {count} {noun}:{list}");
        Err(Error::new(ErrorKind::Config, message))
    }
}

/// `did you mean …?` for a name that is not among `known`; else the list of them.
pub fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let best = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|(left, _), (right, _)| left.total_cmp(right));
    match best {
        Some((score, best)) if score > 0.8 => format!("did you mean `{best}`?"),
        Some(_) => format!("known here: {}", known.join(", ")),
        None => "nothing is known here".to_owned(),
    }
}
