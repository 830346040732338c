//! The one error that crosses module borders: kind, message, context, cause.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// A result with Flare's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error that user code or a client library may return.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, in terms of what the engine does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The job or its configuration is wrong: the job does not start.
    Config,
    /// An outside system did not answer, or asked to be tried again: retried.
    Unavailable,
    /// No answer came in time.
    Timeout,
    /// One record cannot be parsed, converted, looked up or written: it goes to the dirty-data output.
    BadRecord,
    /// Too many dirty records: the job fails.
    DirtyBudget,
    /// The user's code failed or panicked: the job fails.
    User,
    /// Flare, or this build of it, cannot do what was asked for.
    Unsupported,
    /// An outside system refused for good, or an invariant broke: the job fails.
    Failed,
}

impl ErrorKind {
    /// A stable lower-case name, as it stands in dirty records and summaries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::BadRecord => "bad_record",
            Self::DirtyBudget => "dirty_budget",
            Self::User => "user",
            Self::Unsupported => "unsupported",
            Self::Failed => "failed",
        }
    }
}

/// An error with its kind, the facts around it, and its cause.
///
/// Displayed as `message (key=value, …)`; causes follow by [`Error::report`] or [`StdError::source`]. What to do about
/// it is apart from them, in [`Error::remedy`].
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    remedy: Option<String>,
    source: Option<BoxError>,
    consequence: bool,
}

impl Error {
    /// An error of `kind`; `message` is lower case, without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        let context = Vec::new();
        Self(Box::new(Inner { kind, message, context, remedy: None, source: None, consequence: false }))
    }

    /// An error of the user's own code, as a `#[flare_job]` function returns it.
    pub fn user(source: impl Into<BoxError>) -> Self {
        Self::new(ErrorKind::User, "user code failed").caused_by(source)
    }

    /// A record that cannot be used; it goes to the dirty-data output.
    pub fn bad_record(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::BadRecord, message)
    }

    /// Adds a fact: the operator, setting, topic, key or record concerned.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Says what to do about it: lower case, without a full stop.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error under another kind.
    #[must_use]
    pub fn into_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Marks an error that only follows from another one, which is told elsewhere: by another subtask, by a problem.
    #[must_use]
    pub(crate) fn consequence(mut self) -> Self {
        self.0.consequence = true;
        self
    }

    /// Whether the real error is told elsewhere.
    pub(crate) fn is_consequence(&self) -> bool {
        self.0.consequence
    }

    /// What the engine does about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message without context and causes.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fact added under `key`, if any.
    pub fn context(&self, key: &str) -> Option<&str> {
        let mut pairs = self.0.context.iter();
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    /// What to do about it, as this error or else the nearest of its causes says.
    pub fn remedy(&self) -> Option<&str> {
        let own = self.0.remedy.as_deref();
        own.or_else(|| {
            let mut causes = std::iter::successors(self.source(), |&cause| cause.source());
            causes.find_map(|cause| cause.downcast_ref::<Self>()?.0.remedy.as_deref())
        })
    }

    /// Whether another try may succeed.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    /// This error and all its causes, outermost first.
    pub fn chain(&self) -> Vec<String> {
        let mut chain = vec![self.to_string()];
        let mut next = self.source();
        while let Some(error) = next {
            chain.push(error.to_string());
            next = error.source();
        }
        chain
    }

    /// This error and all its causes on one line, joined by `: `.
    pub fn report(&self) -> String {
        self.chain().join(": ")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (index, (key, value)) in self.0.context.iter().enumerate() {
            let open = if index == 0 { " (" } else { ", " };
            write!(f, "{open}{key}={value}")?;
        }
        if self.0.context.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind().name(), self.report())?;
        self.remedy().map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(ErrorKind::Failed, "input or output failed").caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_context_and_causes_in_order() {
        let io = std::io::Error::other("disk on fire");
        let error = Error::new(ErrorKind::Unavailable, "no reply")
            .with("connector", "redis")
            .with("key", 7)
            .caused_by(io);
        assert_eq!(error.report(), "no reply (connector=redis, key=7): disk on fire");
        assert_eq!(error.context("key"), Some("7"));
        assert!(error.is_retryable());
    }

    #[test]
    fn takes_the_remedy_of_the_nearest_cause() {
        let cause = Error::new(ErrorKind::Config, "no such table").with_remedy("create the table");
        let error = Error::new(ErrorKind::Failed, "the sink failed").caused_by(cause);
        assert_eq!(error.remedy(), Some("create the table"));
        assert_eq!(error.report(), "the sink failed: no such table");
        assert_eq!(error.with_remedy("look at the sink").remedy(), Some("look at the sink"));
    }
}
