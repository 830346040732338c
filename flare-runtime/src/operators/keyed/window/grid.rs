//! Where windows of time begin and end.

use std::fmt;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;

use super::Window;
use crate::model::Timestamp;

/// The borders of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// In milliseconds: every `slide` one of `size` begins, one of them at `offset` from 1970.
    Even {
        /// Length of a window.
        size: i64,
        /// From one window's start to the next.
        slide: i64,
        /// Where a window starts.
        offset: i64,
        /// What all borders are multiples of.
        pane: i64,
    },
    /// Days from midnight to midnight, which are not all equally long where clocks are changed.
    Days {
        /// Days in a window, counted from 1970-01-01.
        count: u32,
        /// Whose midnight.
        zone: Tz,
    },
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Even { size, slide, offset, .. } => {
                write!(f, "{size} ms every {slide} ms from {offset} ms")
            }
            Self::Days { count, zone } => write!(f, "{count} days of {zone}"),
        }
    }
}

impl Grid {
    /// Windows of `size`, of which one begins every `slide`, one of them at `offset`.
    pub fn even(size: i64, slide: i64, offset: i64) -> Self {
        let pane = common_divisor(size.unsigned_abs(), slide.unsigned_abs());
        let pane = i64::try_from(pane).unwrap_or(i64::MAX);
        Self::Even { size, slide, offset, pane }
    }

    /// The pane that a moment belongs to: what windows that overlap have in common.
    pub(super) fn pane_of(self, moment: Timestamp) -> Window {
        match self {
            Self::Even { offset, pane, .. } => even(floor(moment.as_millis(), pane, offset), pane),
            Self::Days { count, zone } => days(moment, count, zone),
        }
    }

    /// The windows that a pane belongs to, by its start, the last one first.
    pub(super) fn windows_of(self, pane: i64) -> impl Iterator<Item = Window> {
        let (first, slide, size) = match self {
            Self::Even { size, slide, offset, .. } => (even(floor(pane, slide, offset), size), slide, size),
            // The only one.
            Self::Days { count, zone } => {
                (days(Timestamp::from_millis(pane), count, zone), i64::MAX, i64::MAX)
            }
        };
        let last = first.start.as_millis();
        let others = (1..).map(move |back: i64| last.saturating_sub(back.saturating_mul(slide)));
        let others = others.take_while(move |start| size != i64::MAX && start.saturating_add(size) > pane);
        let contains = first.end.as_millis() > pane;
        contains.then_some(first).into_iter().chain(others.map(move |start| even(start, size)))
    }

    /// The start of the first window that is not over at `time`.
    pub(super) fn first_open(self, time: Timestamp) -> i64 {
        let next = time.as_millis().saturating_add(1);
        match self {
            _ if next == i64::MAX || time == Timestamp::MIN => time.as_millis(),
            Self::Even { size, slide, offset, .. } => {
                floor(next.saturating_sub(size), slide, offset).saturating_add(slide)
            }
            Self::Days { count, zone } => days(Timestamp::from_millis(next), count, zone).start.as_millis(),
        }
    }

    /// The window that ends last of those that a pane belongs to; `None` for a pane between windows.
    pub(super) fn last_of(self, pane: i64) -> Option<Window> {
        self.windows_of(pane).next()
    }
}

/// The largest number that divides both.
pub(super) fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// The last moment before or at `moment` that is whole steps from `offset`.
fn floor(moment: i64, step: i64, offset: i64) -> i64 {
    moment.saturating_sub(moment.saturating_sub(offset).rem_euclid(step))
}

fn even(start: i64, size: i64) -> Window {
    Window { start: Timestamp::from_millis(start), end: Timestamp::from_millis(start.saturating_add(size)) }
}

/// The window of `count` days in `zone` around a moment; outside of the calendar, of days in UTC.
fn days(moment: Timestamp, count: u32, zone: Tz) -> Window {
    const DAY: i64 = 86_400_000;
    let local = moment.to_utc().map(|utc| utc.with_timezone(&zone).date_naive());
    let window = local.and_then(|date| {
        let since = date.signed_duration_since(NaiveDate::default()).num_days();
        let back = u64::try_from(since.rem_euclid(i64::from(count.max(1)))).ok()?;
        let first = date.checked_sub_days(Days::new(back))?;
        let last = first.checked_add_days(Days::new(u64::from(count.max(1))))?;
        Some(Window { start: midnight(first, zone)?, end: midnight(last, zone)? })
    });
    let size = i64::from(count.max(1)) * DAY;
    window.unwrap_or_else(|| even(floor(moment.as_millis(), size, 0), size))
}

/// When a day begins: at midnight, or where clocks skip that, at the first moment after it.
fn midnight(date: NaiveDate, zone: Tz) -> Option<Timestamp> {
    let start = date.and_time(NaiveTime::MIN);
    let first = (0..24 * 4).find_map(|quarter| {
        let local = start + chrono::TimeDelta::minutes(15 * quarter);
        zone.from_local_datetime(&local).earliest()
    });
    first.map(|at: DateTime<Tz>| Timestamp::from_millis(at.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn starts(grid: Grid, moment: i64) -> Vec<i64> {
        let pane = grid.pane_of(Timestamp::from_millis(moment)).start.as_millis();
        let mut starts: Vec<_> = grid.windows_of(pane).map(|window| window.start.as_millis()).collect();
        starts.reverse();
        starts
    }

    #[test]
    fn assigns_moments_to_every_window_around_them() {
        assert_eq!(starts(Grid::even(10, 10, 0), 19), [10]);
        assert_eq!(starts(Grid::even(10, 10, 0), -1), [-10]);
        assert_eq!(starts(Grid::even(10, 10, 3), 2), [-7]);
        assert_eq!(starts(Grid::even(10, 4, 0), 9), [0, 4, 8]);
        assert_eq!(starts(Grid::even(10, 4, 0), 10), [4, 8]);
        assert_eq!(starts(Grid::even(3, 5, 0), 2), [0]);
        assert_eq!(starts(Grid::even(3, 5, 0), 4), [0; 0]);
    }

    fn at(text: &str) -> Timestamp {
        serde_json::from_value(text.into()).expect("a time")
    }

    #[test]
    fn follows_the_midnight_of_a_zone_when_clocks_are_changed() {
        let day = |text: &str, count, zone: &str| {
            let grid = Grid::Days { count, zone: zone.parse().expect("a zone") };
            grid.last_of(grid.pane_of(at(text)).start.as_millis()).expect("a day")
        };
        let short = day("2026-03-29T12:00:00Z", 1, "Europe/Berlin");
        assert_eq!((short.start, short.end), (at("2026-03-28T23:00:00Z"), at("2026-03-29T22:00:00Z")));
        let long = day("2026-10-25T22:59:59Z", 1, "Europe/Berlin");
        assert_eq!((long.start, long.end), (at("2026-10-24T22:00:00Z"), at("2026-10-25T23:00:00Z")));
        let shanghai = day("2026-01-15T16:00:00Z", 1, "Asia/Shanghai");
        assert_eq!(shanghai.start, at("2026-01-15T16:00:00Z"));
        // Clocks skipped midnight that day.
        let beirut = day("2024-03-31T10:00:00Z", 1, "Asia/Beirut");
        assert_eq!(beirut.start, at("2024-03-30T22:00:00Z"));
        let week = day("2026-01-15T00:00:00Z", 7, "UTC");
        assert_eq!((week.start, week.end), (at("2026-01-15T00:00:00Z"), at("2026-01-22T00:00:00Z")));
    }

    proptest! {
        #[test]
        fn days_follow_one_another_without_a_gap(seconds in 0_i64..2_000_000_000, count in 1_u32..9) {
            for zone in [chrono_tz::Europe::Berlin, chrono_tz::Asia::Beirut, chrono_tz::America::Sao_Paulo] {
                let (grid, moment) = (Grid::Days { count, zone }, Timestamp::from_millis(seconds * 1000));
                let window = grid.last_of(grid.pane_of(moment).start.as_millis()).expect("a day");
                prop_assert!(window.start <= moment && moment < window.end);
                let next = grid.last_of(grid.pane_of(window.end).start.as_millis()).expect("a day");
                prop_assert_eq!(next.start, window.end);
                prop_assert_eq!(grid.first_open(window.last()), next.start.as_millis());
                prop_assert_eq!(grid.first_open(moment), if moment == window.last() { next.start } else { window.start }.as_millis());
            }
        }
    }
}
