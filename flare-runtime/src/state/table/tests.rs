use std::time::Duration;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Tables of every backend.
fn tables(ttl: Option<Ttl>, check: impl Fn(Table<u64, String>)) {
    check(Table::new(ttl));
    #[cfg(feature = "disk-state")]
    {
        let directory = tempfile::tempdir().expect("a directory");
        let (write_buffer, block_cache) = (1 << 20, 1 << 20);
        let settings = crate::state::disk::DiskSettings {
            directory: directory.path().into(),
            write_buffer,
            block_cache,
        };
        let store = DiskStore::open(&settings, "test").expect("a store");
        check(Table::on_disk(&store, "texts", ttl, KeyGroups { count: 128 }).expect("a table"));
    }
}

fn text(table: &mut Table<u64, String>, key: u64, now: i64) -> Option<String> {
    table.get(&key, at(now)).expect("it is read").cloned()
}

#[test]
fn forgets_after_the_last_write() {
    tables(Some(Ttl::after_write(Duration::from_millis(10))), |mut table| {
        table.insert(&1, "a".to_owned(), at(0)).expect("written");
        assert_eq!(text(&mut table, 1, 9).as_deref(), Some("a"));
        assert_eq!(text(&mut table, 1, 10), None);
        assert_eq!(table.remove(&1, at(10)).expect("removed"), None);
    });
}

#[test]
fn lives_on_while_it_is_read() {
    tables(Some(Ttl::after_access(Duration::from_millis(10))), |mut table| {
        table.insert(&1, "a".to_owned(), at(0)).expect("written");
        assert_eq!(text(&mut table, 1, 9).as_deref(), Some("a"));
        assert_eq!(text(&mut table, 1, 18).as_deref(), Some("a"));
        assert_eq!(table.remove(&1, at(28)).expect("removed"), None);
    });
}

#[test]
fn sweeps_a_little_at_a_time_and_all_in_the_end() {
    tables(Some(Ttl::after_write(Duration::from_millis(10))), |mut table| {
        for key in 0..100 {
            table.insert(&key, key.to_string(), at(key as i64 % 2 * 10)).expect("written");
        }
        let left = |table: &mut Table<u64, String>| {
            let mut left = 0;
            table
                .for_each(|_, _| {
                    left += 1;
                    Ok(())
                })
                .expect("read");
            left
        };
        table.sweep(10, at(15)).expect("swept");
        assert!((90..=100).contains(&left(&mut table)));
        (0..40).for_each(|_| table.sweep(10, at(15)).expect("swept"));
        assert_eq!(left(&mut table), 50);
    });
}

#[test]
fn changes_in_place_and_removes() {
    tables(None, |mut table| {
        table.get_or_insert_with(&1, at(0), || "a".to_owned()).expect("made").push('b');
        table.get_mut(&1, at(1)).expect("read").expect("there").push('c');
        assert_eq!(text(&mut table, 1, 1_000_000).as_deref(), Some("abc"));
        table.insert(&1, "d".to_owned(), at(2)).expect("written");
        assert_eq!(table.remove(&1, at(2)).expect("removed").as_deref(), Some("d"));
        assert_eq!(table.remove(&1, at(2)).expect("removed"), None);
        table.sweep(10, at(3)).expect("nothing to do");
    });
}
