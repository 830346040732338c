//! The windows of a job, as its author describes them.

use std::time::Duration;

use chrono_tz::Tz;

use crate::model::format_duration;
use crate::operators::keyed::window::{Domain, Firing, Grid};

/// Windows of time, and when they give results.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    kind: Kind,
    offset: Duration,
    pub(super) firing: Firing,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Fixed { size: Duration, slide: Duration },
    Days { count: u32, zone: &'static str },
    Session { gap: Duration },
}

/// What operator windows need.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Grid(Grid),
    Session(Duration),
}

/// A message and a remedy.
type Problem = (String, &'static str);

impl Windows {
    const fn new(kind: Kind) -> Self {
        let firing = Firing { domain: Domain::Event, lateness: Duration::ZERO, early: None };
        Self { kind, offset: Duration::ZERO, firing }
    }

    /// Windows of `size` one after the other, beginning at 1970-01-01T00:00:00Z.
    pub const fn tumbling(size: Duration) -> Self {
        Self::new(Kind::Fixed { size, slide: size })
    }

    /// Windows of `size`, of which one begins every `slide`.
    pub const fn sliding(size: Duration, slide: Duration) -> Self {
        Self::new(Kind::Fixed { size, slide })
    }

    /// Windows of `count` days one after the other, counted from 1970-01-01, from midnight to midnight of a time zone
    /// such as `"Europe/Berlin"`. Where its clocks are changed, a day is longer or shorter.
    pub const fn days(count: u32, zone: &'static str) -> Self {
        Self::new(Kind::Days { count, zone })
    }

    /// The records of a key that follow one another within `gap`, which may be in any order: the window begins with the
    /// first record and ends `gap` after the last. Two records exactly `gap` apart belong together.
    pub const fn session(gap: Duration) -> Self {
        Self::new(Kind::Session { gap })
    }

    /// Shifts the beginnings of windows.
    #[must_use]
    pub const fn offset(mut self, offset: Duration) -> Self {
        self.offset = offset;
        self
    }

    /// How long after its end, in event time, a window still takes late records: each of them gives its result anew.
    /// The default is none.
    #[must_use]
    pub const fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.firing.lateness = lateness;
        self
    }

    /// Gives what a window has so far every `every` of processing time, before its end.
    #[must_use]
    pub const fn early(mut self, every: Duration) -> Self {
        self.firing.early = Some(every);
        self
    }

    /// Goes by the time of the machine instead of that of the records. What is open at the end of the input gives its
    /// result then.
    #[must_use]
    pub const fn processing_time(mut self) -> Self {
        self.firing.domain = Domain::Processing;
        self
    }

    /// What they are, for reports: `sliding 1h by 1m, lateness 10s`.
    pub(super) fn describe(&self) -> String {
        let Firing { domain, lateness, early } = self.firing;
        let kind = match self.kind {
            Kind::Fixed { size, slide } if size == slide => format!("tumbling {}", show(size)),
            Kind::Fixed { size, slide } => format!("sliding {} by {}", show(size), show(slide)),
            Kind::Days { count, zone } => format!("days {count} {zone}"),
            Kind::Session { gap } => format!("session {}", show(gap)),
        };
        let offset = (!self.offset.is_zero()).then(|| format!("offset {}", show(self.offset)));
        let lateness = (!lateness.is_zero()).then(|| format!("lateness {}", show(lateness)));
        let early = early.map(|every| format!("early every {}", show(every)));
        let domain = (domain == Domain::Processing).then(|| "processing time".to_owned());
        let parts = [Some(kind), offset, lateness, early, domain];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// What operators need, or what cannot be.
    pub(super) fn shape(&self) -> Result<Shape, Problem> {
        let problem = |message: &str, remedy| Err((message.to_owned(), remedy));
        let too_short = |duration: Duration| duration.as_millis() == 0;
        if self.firing.early.is_some_and(too_short) {
            return problem(
                "early results need at least 1 ms between them",
                "write for instance ten seconds",
            );
        }
        let has_offset = !self.offset.is_zero();
        match self.kind {
            Kind::Fixed { size, slide } if too_short(size) || too_short(slide) => {
                problem("a window needs a size and a slide of at least 1 ms", "write for instance one minute")
            }
            Kind::Fixed { size, slide } => Ok(Shape::Grid(self.grid(size, slide))),
            Kind::Days { count: 0, .. } => problem("a window of 0 days never ends", "write at least 1"),
            Kind::Days { .. } if has_offset => {
                problem("days begin at midnight", "leave the offset out, or use `tumbling`")
            }
            Kind::Days { count, zone } => match zone.parse::<Tz>() {
                Ok(zone) => Ok(Shape::Grid(Grid::Days { count, zone })),
                Err(_) => Err((
                    format!("`{zone}` is no time zone"),
                    "write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"",
                )),
            },
            Kind::Session { gap } if too_short(gap) => {
                problem("a session needs a gap of at least 1 ms", "write for instance ten minutes")
            }
            Kind::Session { .. } if self.firing.early.is_some() || has_offset => {
                problem("a session has neither early results nor an offset", "remove them")
            }
            Kind::Session { gap } => Ok(Shape::Session(gap)),
        }
    }

    fn grid(&self, size: Duration, slide: Duration) -> Grid {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1);
        let slide = millis(slide);
        let offset = i64::try_from(self.offset.as_millis()).unwrap_or(0) % slide;
        Grid::even(millis(size), slide, offset)
    }
}

/// Without blanks, which part what stands beside it: `1h30m`.
fn show(duration: Duration) -> String {
    format_duration(duration).replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_what_the_author_wrote() {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        let shown = |windows: Windows, expected| assert_eq!(windows.describe(), expected);
        shown(Windows::tumbling(minute), "tumbling 1m");
        shown(Windows::sliding(hour, minute).offset(minute * 90), "sliding 1h by 1m, offset 1h30m");
        shown(Windows::session(minute * 30).processing_time(), "session 30m, processing time");
        let days = Windows::days(1, "Europe/Berlin").allowed_lateness(hour).early(minute);
        shown(days, "days 1 Europe/Berlin, lateness 1h, early every 1m");
    }
}
