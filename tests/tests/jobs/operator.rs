//! Single operators in the test kit, as a job's author tests them.

use std::collections::BTreeMap;
use std::time::Duration;

use flare::keyed::{BroadcastProcess, CoProcess, Context, Declare, ListState, Process, Timer, ValueState};
use flare::prelude::*;
use flare::test::{FlareTest, MockSource, OperatorTest};

const SECOND: Duration = Duration::from_secs(1);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A bid, which is refused when it is not positive.
#[kafka(topic = "bids", event_time = "at")]
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Bid {
    item: u32,
    cents: i64,
    at: Timestamp,
}

fn bid(item: u32, cents: i64) -> Bid {
    Bid { item, cents, at: at(0) }
}

/// What came out of an auction, in words.
#[kafka(topic = "news")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct News {
    text: String,
}

/// Ends each auction ten seconds of event time after its first bid, and warns when nobody bids for a second.
#[derive(Clone, Default)]
struct Auction {
    highest: ValueState<i64>,
    bids: ListState<i64>,
    warns_at: ValueState<Timestamp>,
    /// Of this instance alone.
    seen: u32,
}

impl Process<u32, Bid> for Auction {
    type Out = String;

    fn open(&mut self, states: &mut Declare<'_, u32>) -> Result<()> {
        self.highest = states.value("highest")?;
        self.bids = states.list("bids")?;
        self.warns_at = states.value("warns_at")?;
        Ok(())
    }

    fn process(&mut self, bid: &Bid, cx: &mut Context<'_, u32, String>) -> Result<()> {
        if bid.cents <= 0 {
            return Err(Error::bad_record("a bid is positive").caused_by("it is a joke"));
        }
        self.seen += 1;
        cx.emit(format!("{}: bid {}", bid.item, self.seen));
        match self.highest.get(cx)?.copied() {
            None => cx.set_timer(cx.timestamp().unwrap_or(at(0)) + 10 * SECOND),
            Some(_) => self.warns_at.take(cx)?.into_iter().for_each(|at| cx.delete_processing_timer(at)),
        }
        let warns_at = cx.processing_time() + SECOND;
        cx.set_processing_timer(warns_at);
        self.warns_at.set(cx, warns_at)?;
        self.bids.push(cx, bid.cents)?;
        self.highest.update(cx, |highest| *highest = bid.cents.max(*highest))
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context<'_, u32, String>) -> Result<()> {
        let item = *cx.key();
        match timer {
            Timer::Processing(_) => cx.emit(format!("{item}: going once")),
            Timer::Event(_) => {
                let highest = self.highest.take(cx)?.ok_or_else(|| Error::user("nobody has bid"))?;
                self.bids.clear(cx)?;
                cx.emit(format!("{item}: sold for {highest}"));
            }
        }
        Ok(())
    }
}

fn auction() -> OperatorTest<u32, Bid, String> {
    OperatorTest::process(|bid: &Bid| bid.item, Auction::default()).unwrap()
}

#[test]
fn shows_what_an_operator_emits_and_remembers() {
    let mut test = auction();
    test.record_at(at(500), bid(1, 30));
    test.record_at(at(900), bid(1, 20));
    assert_eq!(test.take_timed()[1], ("1: bid 2".to_owned(), Some(at(900))));
    assert_eq!(test.state::<i64>("highest", &1), Some(30));
    assert_eq!(test.state::<Vec<i64>>("bids", &1), Some(vec![30, 20]));
    assert_eq!(test.state::<i64>("highest", &2), None);
    assert_eq!(test.timers(), [(at(10_500), 1)]);
    test.watermark(at(10_499));
    assert!(test.take().is_empty());
    test.watermark(at(10_500));
    assert_eq!(test.take_timed(), [("1: sold for 30".to_owned(), Some(at(10_500)))]);
    assert_eq!((test.entries::<i64>("highest"), test.timers()), (vec![], vec![]));
    // The auction has ended before it began.
    test.record_at(at(0), bid(2, 5));
    assert_eq!(test.take(), ["2: bid 3", "2: sold for 5"]);
}

#[test]
fn timers_of_processing_time_fire_at_their_moment() {
    let mut test = auction();
    let start = test.processing_time();
    test.record(bid(1, 30));
    test.advance_processing_time_by(SECOND / 2);
    test.record(bid(2, 30));
    test.record(bid(1, 40));
    test.take();
    assert_eq!(test.processing_timers(), [(start + 3 * SECOND / 2, 1), (start + 3 * SECOND / 2, 2)]);
    test.advance_processing_time_to(start + SECOND);
    assert!(test.take().is_empty());
    test.advance_processing_time_to(start + 10 * SECOND);
    let warnings = ["2: going once", "1: going once"];
    assert_eq!(test.take_timed(), warnings.map(|text| (text.to_owned(), None)));
    assert_eq!(test.processing_time(), start + 10 * SECOND);
}

#[test]
fn a_refused_record_is_seen_with_its_causes() {
    let mut test = auction();
    test.record(bid(1, -3));
    assert_eq!(test.rejected().len(), 1);
    assert_eq!(test.rejected()[0].causes, ["a bid is positive", "it is a joke"]);
    assert!(test.rejected()[0].record.starts_with(r#"{"item":1,"cents":-3"#), "{:?}", test.rejected());
    assert!(test.take().is_empty());
}

#[test]
#[should_panic(expected = "the operator has failed: a timer's function failed")]
fn an_error_of_the_operator_fails_the_call() {
    #[derive(Clone)]
    struct Failing;
    impl Process<u32, u32> for Failing {
        type Out = ();
        fn process(&mut self, n: &u32, cx: &mut Context<'_, u32, ()>) -> Result<()> {
            cx.set_timer(at(i64::from(*n)));
            Ok(())
        }
        fn on_timer(&mut self, _: Timer, _: &mut Context<'_, u32, ()>) -> Result<()> {
            Err(Error::user("never"))
        }
    }
    let mut test = OperatorTest::process(|n: &u32| *n, Failing).unwrap();
    test.record(5);
    test.watermark(at(5));
}

#[test]
fn a_fresh_operator_goes_on_with_states_and_timers_alone() {
    let mut test = auction();
    (0..20).for_each(|item| test.record_at(at(0), bid(item, 30)));
    test.watermark(at(7));
    test.take();
    for parallelism in [1, 3, 4, 2] {
        test.restart_with(parallelism);
        (0..20).for_each(|item| test.record_at(at(0), bid(item, 30)));
        // Each instance has counted from 1 on, so the numbers tell which keys share one.
        let firsts = test.take().iter().filter(|text| text.ends_with(": bid 1")).count();
        assert_eq!(firsts, parallelism);
    }
    assert_eq!(test.state::<Vec<i64>>("bids", &7), Some(vec![30; 5]));
    assert_eq!((test.timers().len(), test.processing_timers().len()), (20, 20));
    test.advance_processing_time_by(SECOND);
    test.watermark(at(10_000));
    let mut ends = test.take();
    ends.sort();
    let mut expected: Vec<_> =
        (0..20).flat_map(|item| [format!("{item}: going once"), format!("{item}: sold for 30")]).collect();
    expected.sort();
    assert_eq!(ends, expected);
    // Event time has not begun anew.
    test.restart();
    test.record_at(at(0), bid(3, 5));
    assert_eq!(test.take(), ["3: bid 1", "3: sold for 5"]);
}

#[test]
fn an_operator_goes_on_with_its_part_of_a_job() {
    let mut test = FlareTest::described("auctions", |job| {
        let bids = job.source::<Bid>()?.key_by(|bid| bid.item);
        bids.process(Auction::default()).id("auction").map(|text| News { text }).sink::<News>()
    });
    let (source, bids) = MockSource::by_hand();
    test.source(source);
    let _news = test.sink::<News>();
    let mut live = test.start().unwrap();
    bids.push(bid(4, 44));
    let savepoint = live.checkpoint();
    live.finish().unwrap();

    let mut test = auction();
    let error = test.restore((*savepoint).clone(), "auctions").unwrap_err().report();
    assert!(error.contains("no such operator") && error.contains("operator=auctions"), "{error}");
    test.restore((*savepoint).clone(), "auction").unwrap();
    assert_eq!(test.state("highest", &4), Some(44_i64));
    test.watermark(at(10_000));
    assert_eq!(test.take(), ["4: sold for 44"]);

    let mut other = OperatorTest::process(|n: &u32| *n, Odd::default()).unwrap();
    let error = other.restore((*savepoint).clone(), "auction").unwrap_err().report();
    assert!(error.contains("declares no more") && error.contains("bids, highest"), "{error}");
}

/// Passes every second record of a key on.
#[derive(Clone, Default)]
struct Odd(ValueState<bool>);

impl Process<u32, u32> for Odd {
    type Out = u32;

    fn open(&mut self, states: &mut Declare<'_, u32>) -> Result<()> {
        self.0 = states.value("odd")?;
        Ok(())
    }

    fn process(&mut self, n: &u32, cx: &mut Context<'_, u32, u32>) -> Result<()> {
        if self.0.update(cx, |odd| std::mem::replace(odd, !*odd))? {
            cx.emit(*n);
        }
        Ok(())
    }
}

/// Joins a name with the last number of its key, whichever comes first.
#[derive(Clone, Default)]
struct Named {
    name: ValueState<String>,
    number: ValueState<u32>,
}

impl CoProcess<u32, (u32, String), u32> for Named {
    type Out = String;

    fn open(&mut self, states: &mut Declare<'_, u32>) -> Result<()> {
        self.name = states.value("name")?;
        self.number = states.value("number")?;
        Ok(())
    }

    fn process_left(&mut self, (_, name): &(u32, String), cx: &mut Context<'_, u32, String>) -> Result<()> {
        self.name.set(cx, name.clone())?;
        self.number.get(cx)?.copied().into_iter().for_each(|number| cx.emit(format!("{name} {number}")));
        Ok(())
    }

    fn process_right(&mut self, number: &u32, cx: &mut Context<'_, u32, String>) -> Result<()> {
        self.number.set(cx, *number)?;
        self.name.get(cx)?.cloned().into_iter().for_each(|name| cx.emit(format!("{name} {number}")));
        Ok(())
    }
}

#[test]
fn both_streams_of_an_operator_share_its_states() {
    let test =
        OperatorTest::co_process(|left: &(u32, String)| left.0, |right: &u32| right % 10, Named::default());
    let mut test = test.unwrap();
    test.left((1, "one".to_owned()));
    test.restart_with(3);
    test.right_at(at(3), 21);
    assert_eq!(test.take_timed(), [("one 21".to_owned(), Some(at(3)))]);
    test.right(32);
    test.left_at(at(4), (2, "two".to_owned()));
    assert_eq!(test.take(), ["two 32"]);
    assert_eq!(test.entries::<u32>("number"), [(1, 21), (2, 32)]);
}

/// Passes on what is not above the limit of its tens.
#[derive(Clone)]
struct Limited;

impl BroadcastProcess<u32, u32, (u32, u32)> for Limited {
    type Out = u32;
    type Name = u32;
    type Value = u32;

    fn process(
        &mut self,
        n: &u32,
        limits: &BTreeMap<u32, u32>,
        cx: &mut Context<'_, u32, u32>,
    ) -> Result<()> {
        if limits.get(&(n / 10)).is_none_or(|limit| n <= limit) {
            cx.emit(*n);
        }
        Ok(())
    }

    fn process_control(&mut self, (tens, limit): &(u32, u32), limits: &mut BTreeMap<u32, u32>) -> Result<()> {
        if limit / 10 != *tens {
            return Err(Error::bad_record("a limit is within its tens"));
        }
        limits.insert(*tens, *limit);
        Ok(())
    }
}

#[test]
fn control_records_come_to_every_subtask() {
    let mut test = OperatorTest::broadcast_process(|n: &u32| *n, Limited).unwrap();
    test.restart_with(4);
    test.control((1, 15));
    test.control((2, 99));
    assert_eq!(test.rejected().len(), 1, "it is turned aside once");
    (10..20).for_each(|n| test.record(n));
    assert_eq!(test.take(), (10..16).collect::<Vec<_>>());
    test.restart_with(2);
    assert_eq!(test.shared::<u32, u32>(), [(1, 15)].into());
    (10..20).for_each(|n| test.record_at(at(0), n));
    assert_eq!(test.take(), (10..16).collect::<Vec<_>>());
}
