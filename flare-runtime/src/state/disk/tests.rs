//! Tests of tables on disk.

use std::collections::BTreeMap;
use std::fs;

use lsm_tree::AbstractTree;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{DiskSettings, DiskStore, DiskTable};
use crate::error::{Error, ErrorKind};
use crate::model::KeyGroups;

const GROUPS: KeyGroups = KeyGroups { count: 16 };

/// A store that has to write back all the time.
fn tiny(directory: &TempDir) -> DiskStore {
    open(directory, "count-0", 2000)
}

fn open(directory: &TempDir, name: &str, write_buffer: u64) -> DiskStore {
    DiskStore::open(&settings(directory, write_buffer), name).unwrap()
}

fn settings(directory: &TempDir, write_buffer: u64) -> DiskSettings {
    DiskSettings { directory: directory.path().to_owned(), write_buffer, block_cache: 1 << 20 }
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Get(u16),
    Push(u16, u8),
    Make(u16),
    Insert(u16, u8),
    Remove(u16),
    Sweep(u16, u8),
    Check,
    Rest,
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..200_u16;
    prop_oneof![
        4 => key().prop_map(Step::Get),
        8 => (key(), any::<u8>()).prop_map(|(key, by)| Step::Push(key, by)),
        8 => key().prop_map(Step::Make),
        4 => (key(), any::<u8>()).prop_map(|(key, length)| Step::Insert(key, length)),
        4 => key().prop_map(Step::Remove),
        2 => (0..1500_u16, any::<u8>()).prop_map(|(count, over)| Step::Sweep(count, over)),
        1 => Just(Step::Check),
        1 => Just(Step::Rest),
        1 => Just(Step::Clear),
    ]
}

/// A table, and what is to be in it.
struct Pair {
    table: DiskTable<(u16, String), Vec<u8>>,
    plain: BTreeMap<(u16, String), Vec<u8>>,
}

impl Pair {
    fn new(store: &DiskStore, name: &str) -> Self {
        Self { table: store.table(name, GROUPS).unwrap(), plain: BTreeMap::new() }
    }

    fn take(&mut self, step: Step) {
        let key = |key: u16| (key, "k".repeat(usize::from(key % 7)));
        let Self { table, plain } = self;
        match step {
            Step::Get(number) => assert_eq!(table.get(&key(number)).unwrap(), plain.get(&key(number))),
            Step::Push(number, by) => {
                let (own, expected) = (table.get_mut(&key(number)).unwrap(), plain.get_mut(&key(number)));
                assert_eq!(own, expected);
                own.into_iter()
                    .chain(expected)
                    .for_each(|value| value.resize(value.len() + usize::from(by), by));
            }
            Step::Make(number) => {
                let own = table.get_or_insert_with(&key(number), || vec![1]).unwrap();
                let expected = plain.entry(key(number)).or_insert_with(|| vec![1]);
                assert_eq!(own, expected);
                own.push(2);
                expected.push(2);
            }
            Step::Insert(number, length) => {
                table.insert(&key(number), vec![length; length.into()]).unwrap();
                plain.insert(key(number), vec![length; length.into()]);
            }
            Step::Remove(number) => {
                assert_eq!(table.remove(&key(number)).unwrap(), plain.remove(&key(number)));
            }
            Step::Sweep(count, over) => self.sweep(count.into(), over),
            Step::Check => self.check(),
            Step::Rest => table.rest().unwrap(),
            Step::Clear => {
                table.clear().unwrap();
                plain.clear();
            }
        }
    }

    /// What a sweep forgets is its choice, among what is over.
    fn sweep(&mut self, count: usize, over: u8) {
        let is_over = |value: &Vec<u8>| value.last().is_some_and(|last| *last == over % 4);
        self.table.sweep(count, is_over).unwrap();
        let kept = self.contents();
        self.plain.retain(|key, value| kept.contains_key(key) || !is_over(value));
        assert_eq!(kept, self.plain);
    }

    fn contents(&mut self) -> BTreeMap<(u16, String), Vec<u8>> {
        let mut contents = BTreeMap::new();
        let mut last = 0;
        let each = |group, key: &(u16, String), value: &Vec<u8>| {
            assert!(group == GROUPS.of(key) && group >= last);
            last = group;
            assert_eq!(contents.insert(key.clone(), value.clone()), None, "shown once");
            Ok(())
        };
        self.table.for_each(each).unwrap();
        contents
    }

    fn check(&mut self) {
        assert_eq!(self.table.is_empty().unwrap(), self.plain.is_empty());
        assert_eq!(self.contents(), self.plain);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn does_what_a_map_in_memory_does(steps in prop::collection::vec((0..3_usize, step()), 1..600)) {
        let directory = directory();
        let store = tiny(&directory);
        let mut pairs = ["one", "two", "three"].map(|name| Pair::new(&store, name));
        for (which, step) in steps {
            pairs[which].take(step);
        }
        pairs.iter_mut().for_each(Pair::check);
        drop(pairs);
        prop_assert_eq!(store.memory().used(), 0);
    }
}

/// Values of numbers below `keys`, in a table that has written most of them.
fn filled(store: &DiskStore, keys: u32) -> DiskTable<u32, u32> {
    let mut table = store.table("latest", GROUPS).unwrap();
    for key in 0..keys {
        table.insert(&key, key * 2).unwrap();
    }
    table
}

#[test]
fn keeps_what_is_larger_than_its_memory() {
    let directory = directory();
    let store = open(&directory, "large", 1 << 19);
    let mut table = filled(&store, 60_000);
    for key in 0..60_000 {
        *table.get_mut(&key).unwrap().unwrap() += 1;
    }
    let mut count = 0;
    let each = |_, key: &u32, value: &u32| {
        count += 1;
        if *value == key * 2 + 1 { Ok(()) } else { Err(Error::new(ErrorKind::Failed, "another value")) }
    };
    table.for_each(each).unwrap();
    assert_eq!(count, 60_000);
    assert!(store.memory().used() < 1 << 20, "{}", store.memory().used());
    assert!(store.tree().disk_space() > 1 << 19);
}

#[test]
fn stays_in_memory_while_there_is_room() {
    let directory = directory();
    let store = open(&directory, "small", 1 << 30);
    let mut table = filled(&store, 10_000);
    assert_eq!(table.get(&9999).unwrap(), Some(&19_998));
    assert_eq!(table.get(&10_000).unwrap(), None);
    assert!(store.tree().is_empty(lsm_tree::SeqNo::MAX, None).unwrap());
}

#[test]
fn sweeps_all_of_it_in_the_end() {
    let directory = directory();
    let store = tiny(&directory);
    let mut table = filled(&store, 5000);
    for _ in 0..5000 {
        table.sweep(4, |value| *value >= 100).unwrap();
    }
    let mut left = Vec::new();
    table
        .for_each(|_, key, _| {
            left.push(*key);
            Ok(())
        })
        .unwrap();
    left.sort_unstable();
    assert_eq!(left, (0..50).collect::<Vec<_>>());
}

#[test]
fn stops_at_the_first_error_of_a_visitor() {
    let directory = directory();
    let mut table = filled(&tiny(&directory), 1000);
    let mut seen = 0;
    let each = |_, _: &u32, _: &u32| {
        seen += 1;
        if seen < 10 { Ok(()) } else { Err(Error::new(ErrorKind::Failed, "enough")) }
    };
    assert_eq!(table.for_each(each).unwrap_err().message(), "enough");
    assert_eq!(seen, 10);
}

#[test]
fn notices_how_values_grow() {
    let directory = directory();
    let store = open(&directory, "growing", 1 << 16);
    let mut table: DiskTable<u32, Vec<u64>> = store.table("list", GROUPS).unwrap();
    for number in 0..100_000 {
        table.get_or_insert_with(&((number / 5000) as u32), Vec::new).unwrap().push(number);
        assert!(store.memory().used() <= 1 << 17, "{}", store.memory().used());
    }
    assert!((0..20).all(|key| table.get(&key).unwrap().unwrap().len() == 5000));
}

#[test]
fn drops_the_files_of_tables_that_are_gone() {
    let directory = directory();
    let store = open(&directory, "panes", 1 << 20);
    for pane in 0..10_u32 {
        let mut table = filled(&store, 60_000);
        assert_eq!(table.get(&pane).unwrap(), Some(&(pane * 2)));
    }
    let mut last = filled(&store, 60_000);
    assert_eq!(last.get(&7).unwrap(), Some(&14));
    // Its thread has not been through all orders, but through those of most panes.
    assert!(store.tree().disk_space() < 5 << 20, "{}", store.tree().disk_space());
}

#[test]
fn empties_what_a_killed_process_left_behind() {
    let directory = directory();
    let left = directory.path().join("count-0-0").join("tree").join("tables");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("7"), "torn").unwrap();
    let store = tiny(&directory);
    assert!(!left.join("7").exists());
    drop(filled(&store, 1000));
    drop(store);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "removed when it is dropped");
}

#[test]
fn keeps_two_stores_apart() {
    let directory = directory();
    let (first, second) = (tiny(&directory), open(&directory, "count/1", 2000));
    let mut tables = [filled(&first, 1000), filled(&second, 500)];
    assert_eq!(tables[0].get(&700).unwrap(), Some(&1400));
    assert_eq!(tables[1].get(&700).unwrap(), None);
    let another = DiskStore::open(&settings(&directory, 2000), "count-0").unwrap();
    assert_eq!(filled(&another, 10).get(&700).unwrap(), None, "a second copy has a directory of its own");
    assert_eq!(tables[0].get(&700).unwrap(), Some(&1400));
}

#[test]
fn says_where_a_damaged_value_is() {
    let directory = directory();
    let store = open(&directory, "torn", 1 << 20);
    let mut table: DiskTable<u32, (u32, String)> = store.table("latest", GROUPS).unwrap();
    table.insert(&7, (1, "a".to_owned())).unwrap();
    table.rest().unwrap();
    let group = u16::try_from(GROUPS.of(&7_u32)).unwrap().to_be_bytes();
    let key = [&[0; 4], &group[..], &[7]].concat();
    store.tree().insert(key, [1, 200], 1000);
    let error = table.get(&7).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    let report = error.report();
    assert!(report.starts_with("a state on disk is damaged (state=latest, key=7): [1]: "), "{report}");
}

#[test]
fn says_which_directory_cannot_be_used() {
    let directory = directory();
    fs::write(directory.path().join("file"), "").unwrap();
    let settings = DiskSettings { directory: directory.path().join("file"), write_buffer: 1, block_cache: 1 };
    let error = DiskStore::open(&settings, "count").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.context("directory").unwrap().ends_with("file/count-0"));
}

#[test]
fn fails_when_files_cannot_be_written() {
    let directory = directory();
    let store = open(&directory, "count", 1 << 20);
    let mut table = filled(&store, 1000);
    let files = directory.path().join("count-0").join("tree").join("tables");
    fs::remove_dir(&files).unwrap();
    fs::write(&files, "no directory").unwrap();
    let mut write = || (1000..200_000).try_for_each(|key| table.insert(&key, 0));
    let error = write().unwrap_err();
    assert_eq!((error.kind(), error.context("state")), (ErrorKind::Failed, Some("latest")));
    assert!(error.context("directory").unwrap().ends_with("count-0"), "{error:?}");
    fs::remove_file(&files).unwrap();
    fs::create_dir(&files).unwrap();
    assert_eq!(table.get(&7).unwrap(), Some(&14), "nothing is lost");
    table.rest().unwrap();
    assert_eq!(table.get(&7).unwrap(), Some(&14), "nothing is lost on the way to the disk");
}

#[test]
fn tells_what_the_thread_behind_it_could_not_do() {
    let directory = directory();
    let mut table = filled(&open(&directory, "count", 1 << 16), 10_000);
    let files = directory.path().join("count-0").join("tree").join("tables");
    let empty = || fs::read_dir(&files).unwrap().for_each(|file| drop(fs::remove_file(file.unwrap().path())));
    let mut write = |key| {
        empty();
        table.insert(&key, 0)
    };
    let error = (10_000..1_000_000).try_for_each(&mut write).unwrap_err();
    assert_eq!((error.kind(), error.context("state")), (ErrorKind::Failed, Some("latest")));
    assert_eq!((10_000..1_000_000).try_for_each(write).unwrap_err().report(), error.report());
}

#[test]
fn refuses_keys_that_are_too_long() {
    let directory = directory();
    let store = tiny(&directory);
    let mut table: DiskTable<String, u32> = store.table("names", GROUPS).unwrap();
    table.insert(&"k".repeat(70_000), 1).unwrap();
    let error = table.rest().unwrap_err();
    assert_eq!((error.kind(), error.context("state")), (ErrorKind::Unsupported, Some("names")));
}
