//! Lookups in whole jobs: a table in SQLite, and a user's own function.

use std::time::Duration;

use flare::prelude::*;

use crate::support::{Collected, Folder, check};

/// A city, looked up.
#[async_lookup(datasource = "dimension", sql = "SELECT id, name FROM cities WHERE id = :id", batch = 3)]
#[derive(Clone, Debug, FromRow)]
pub(crate) struct City {
    #[key]
    id: u32,
    name: String,
}

fn named(job: &mut Job, out: Collected<String>) -> Result<()> {
    let ids = job.values("ids", (0..10_u32).collect());
    let named =
        ids.lookup(|id: &u32| *id, |id: u32, city: &City| format!("{id} {}{}", city.name, city.id))?;
    named.for_each(out.collector());
    Ok(())
}

fn cities(folder: &Folder) -> std::path::PathBuf {
    folder.write(
        "cities.sql",
        "CREATE TABLE IF NOT EXISTS cities (id INTEGER PRIMARY KEY, name TEXT);
         INSERT OR REPLACE INTO cities VALUES (0, 'Ulm'), (1, 'Bern'), (2, 'Graz'), (3, 'Bonn'), (4, 'Linz');",
    );
    folder.write("flare.toml", "[datasource.dimension]\nurl = \"sqlite:d.db\"\ninit_sql = \"cities.sql\"\n")
}

#[test]
fn joins_rows_of_a_table_in_order() {
    let folder = Folder::new();
    let config = cities(&folder);
    let (summary, out) = check(named, |runner| runner.config(config)).unwrap();
    assert_eq!(out.items(), ["0 Ulm0", "1 Bern1", "2 Graz2", "3 Bonn3", "4 Linz4"]);
    assert_eq!(summary.dirty.values().sum::<u64>(), 5);
}

#[test]
fn shows_an_id_and_a_name_of_a_lookup() {
    let folder = Folder::new();
    let config = cities(&folder);
    let describe = |job: &mut Job, out: Collected<String>| {
        let ids = job.values("ids", vec![0_u32]);
        let names = ids.lookup(|id: &u32| *id, |_, city: &City| city.name.clone())?;
        names.id("city-by-id").name("cities").for_each(out.collector());
        Ok(())
    };
    let (summary, _) = check(describe, |runner| runner.config(config)).unwrap();
    assert!(summary.text().contains("  cities (city-by-id): looked up 1,"), "{}", summary.text());
    assert_eq!(summary.names["city-by-id"], "cities");
    assert!(summary.operators.contains_key("city-by-id"));
}

#[test]
fn preloads_a_small_table() {
    let folder = Folder::new();
    let config = cities(&folder);
    let preload = |runner: flare::Runner| {
        runner.config(config).set("lookup.City.preload", true).set("operator.lookup.City.parallelism", 3)
    };
    let (_, out) = check(named, preload).unwrap();
    assert_eq!(out.sorted(), ["0 Ulm0", "1 Bern1", "2 Graz2", "3 Bonn3", "4 Linz4"]);
}

#[test]
fn asks_a_function_of_the_user() {
    let describe = |job: &mut Job, out: Collected<String>| {
        let fetch = async |n: u32| {
            tokio::time::sleep(Duration::from_millis(u64::from(n % 7))).await;
            Ok::<_, std::io::Error>((n != 5).then(|| n * n))
        };
        let fetch = move |n: u32| fetch(n);
        let squares = job.values("n", (0..10_u32).collect()).lookup_with(
            "square",
            |n: &u32| *n,
            fetch,
            |n, square: &u32| format!("{n}²={square}"),
        )?;
        squares.for_each(out.collector());
        Ok(())
    };
    let error = check(describe, |runner| runner.set("lookup.square.on_miss", "default"));
    let report = error.map(|_| ()).unwrap_err().report();
    assert!(report.contains("no default row") && report.contains("let the function itself"), "{report}");
    let (summary, out) = check(describe, |runner| runner.set("lookup.square.on_miss", "skip")).unwrap();
    assert_eq!(out.items()[..3], ["0²=0", "1²=1", "2²=4"]);
    assert_eq!((out.items().len(), summary.skipped), (9, 1));
}

#[test]
fn names_the_remedy_when_a_default_row_is_missing() {
    let folder = Folder::new();
    let config = cities(&folder);
    let error = check(named, |runner| runner.config(config).set("lookup.City.on_miss", "default"));
    let report = error.map(|_| ()).unwrap_err().report();
    assert!(report.contains("lookup.City.on_miss") && report.contains("default = path"), "{report}");
}
