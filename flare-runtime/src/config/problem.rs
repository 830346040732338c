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

/// The code of a required setting that nothing sets.
pub(super) const MISSING: &str = "missing-setting";

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
        self.add(code, place, error.report(), error.remedy().unwrap_or_default());
    }

    /// Takes back that the setting `key` is missing: it is there, misspelt.
    pub(super) fn not_missing(&mut self, key: &str) {
        self.0.retain(|problem| problem.code != MISSING || problem.place != key);
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

/// The one of `known` that `name` was probably meant to be: at most every third character is another one.
///
/// What two long names begin with, such as `FLARE_SINK_ORDERS_`, does not make them similar.
pub fn similar<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let scored = known.into_iter().filter_map(|candidate| {
        let same = name.char_indices().zip(candidate.chars()).take_while(|((_, left), right)| left == right);
        let borders =
            same.filter(|((_, c), _)| !c.is_alphanumeric()).map(|((index, c), _)| index + c.len_utf8());
        let begin = borders.last().unwrap_or_default();
        let (name, part) = (&name[begin..], &candidate[begin..]);
        let distance = strsim::damerau_levenshtein(name, part);
        (distance * 3 <= name.chars().count().max(part.chars().count())).then_some((distance, candidate))
    });
    scored.min().map(|(_, candidate)| candidate)
}

/// `did you mean …?` for a name that is not among `known`; else the list of them.
pub fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    match similar(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => "nothing is known here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_what_was_probably_meant_only() {
        let known = ["topic", "group", "ttl", "miss_ttl", "start", "start_offsets", "timeout"];
        let guesses = [
            ("topci", Some("topic")),
            ("Timeout", Some("timeout")),
            ("tll", Some("ttl")),
            ("start_ofset", Some("start_offsets")),
            ("table", None),
            ("start_at", None),
            ("to", None),
            ("", None),
        ];
        for (name, meant) in guesses {
            assert_eq!(similar(name, known), meant, "{name}");
        }
    }

    #[test]
    fn a_common_beginning_is_no_resemblance() {
        let known = ["FLARE_SINK_WIDE_BATCH", "FLARE_SINK_WIDE_TABLE"];
        assert_eq!(similar("FLARE_SINK_WIDE_BACH", known), Some(known[0]));
        assert_eq!(similar("FLARE_SINK_WIDE_URL", known), None);
        assert_eq!(suggestion("FLARE_X", known), format!("known here: {}, {}", known[0], known[1]));
    }
}
