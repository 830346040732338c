//! What every lookup promises.

use std::sync::{Arc, Mutex};

use flare::prelude::*;
use flare::{Runner, Summary};

use crate::place::{Database, Kind, at_every_place, exact_text};
use crate::support::{figure, inserts, run};

/// Found by number.
#[async_lookup(
    datasource = "place",
    sql = "SELECT id, name FROM contract_users WHERE id = :id",
    name = "user"
)]
#[derive(Clone, Debug, FromRow)]
struct User {
    #[key]
    id: u32,
    name: String,
}

/// Found by text.
#[async_lookup(
    datasource = "place",
    sql = "SELECT code, name FROM contract_items WHERE code = :code",
    name = "item"
)]
#[derive(Clone, Debug, FromRow)]
struct Item {
    #[key]
    code: String,
    name: String,
}

/// Found by a number and a text.
#[async_lookup(
    datasource = "place",
    sql = "SELECT shop, code, name FROM contract_prices WHERE shop = :shop AND code = :code",
    name = "price"
)]
#[derive(Clone, Debug, FromRow)]
struct Price {
    #[key]
    shop: i32,
    #[key]
    code: String,
    name: String,
}

/// Runs a job that looks up `keys`, and gives what was joined.
async fn look_up<K>(
    database: &Database,
    keys: Vec<K>,
    settings: &[(&str, &str)],
    describe: impl FnOnce(BoxedStream<K>) -> Result<BoxedStream<String>> + 'static,
) -> (Summary, Vec<String>)
where
    K: Clone + Send + Sync + 'static,
{
    let joined = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&joined);
    let mut runner = Runner::described("looks-up", move |job| {
        let found = describe(job.values("keys", keys))?;
        found.for_each(move |text| seen.lock().unwrap().push(text));
        Ok(())
    });
    runner = runner.config(database.folder.configure(&database.section));
    for (key, value) in settings {
        runner = runner.set(key, value);
    }
    let summary = run(runner).await;
    let joined = std::mem::take(&mut *joined.lock().unwrap());
    (summary, joined)
}

async fn users(kind: Kind) -> Option<Database> {
    let database = Database::open(kind).await?;
    database.table("contract_users", "id BIGINT PRIMARY KEY, name VARCHAR(50) NOT NULL").await;
    for statement in inserts("contract_users", (0..1000).map(|id| format!("{id}, 'user {id}'"))) {
        database.run(&statement).await;
    }
    Some(database)
}

fn named(ids: BoxedStream<u32>) -> Result<BoxedStream<String>> {
    ids.lookup(|id: &u32| *id, |id: u32, user: &User| format!("{id}:{}:{}", user.id, user.name))
}

async fn finds_rows_in_batches(kind: Kind) {
    let Some(database) = users(kind).await else { return };
    // Every second key has no row, and every key comes twice.
    let ids: Vec<u32> = (0..2000).chain(0..2000).map(|n| if n % 2 == 0 { n / 2 } else { 5000 + n }).collect();
    let (summary, joined) = look_up(&database, ids.clone(), &[("job.parallelism", "1")], named).await;
    let expected: Vec<_> =
        ids.iter().filter(|id| **id < 1000).map(|id| format!("{id}:{id}:user {id}")).collect();
    assert_eq!(joined, expected);
    let dirty = database.folder.dirty();
    assert_eq!(dirty.len(), 2000);
    assert!(
        dirty.iter().all(|dirty| dirty.stage == "lookup" && dirty.operator == "lookup.user"),
        "{:?}",
        dirty[0]
    );
    assert!(dirty[0].raw.parse::<u32>().is_ok_and(|id| id >= 5000), "{:?}", dirty[0]);
    let requests = figure(&summary, "lookup.user", "requests");
    assert!((1..200).contains(&requests), "2000 keys in batches of 100: {}", summary.text());
    // The whole table, and then nothing more.
    let preload =
        [("lookup.user.preload", "true"), ("job.parallelism", "1"), ("lookup.user.on_miss", "skip")];
    let (summary, joined) = look_up(&database, ids, &preload, named).await;
    assert_eq!((joined, summary.skipped), (expected, 2000));
    // And several subtasks, in any order.
    let several = [("operator.lookup.user.parallelism", "3"), ("lookup.user.order", "unordered")];
    let (_, mut joined) = look_up(&database, (0..1000).collect(), &several, named).await;
    joined.sort();
    let mut expected: Vec<_> = (0..1000).map(|id| format!("{id}:{id}:user {id}")).collect();
    expected.sort();
    assert_eq!(joined, expected);
}

const TEXTS: [&str; 8] = ["ann", "o'brien", "back\\slash", "两个字", "😀", "a b", "%", "?"];

fn items(keys: BoxedStream<String>) -> Result<BoxedStream<String>> {
    keys.lookup(|key: &String| key.clone(), |key: String, item: &Item| format!("{key}={}", item.name))
}

async fn items_of(kind: Kind, ty: &str) -> Option<Database> {
    let database = Database::open(kind).await?;
    database.table("contract_items", &format!("code {ty} PRIMARY KEY, name VARCHAR(50) NOT NULL")).await;
    for (number, text) in TEXTS.iter().enumerate() {
        let sql = "INSERT INTO contract_items VALUES (?, ?)";
        database.datasource.execute(sql, (*text, format!("item {number}"))).await.unwrap();
    }
    Some(database)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// One key in different cases, alone and together: what is found must not depend on what else is asked for.
async fn finds_texts(kind: Kind) {
    let Some(database) = items_of(kind, &exact_text(kind)).await else { return };
    let mut keys = texts(&TEXTS);
    keys.extend(texts(&["ANN", "nobody", "", "ann\n"]));
    for batch in ["1", "100"] {
        let settings =
            [("lookup.item.batch", batch), ("job.parallelism", "1"), ("lookup.item.on_miss", "skip")];
        let (summary, joined) = look_up(&database, keys.clone(), &settings, items).await;
        let expected = TEXTS.iter().enumerate().map(|(number, text)| format!("{text}=item {number}"));
        assert_eq!(joined, expected.collect::<Vec<_>>(), "batch {batch}");
        assert_eq!(summary.skipped, 4);
    }
    let loose = match kind {
        Kind::Sqlite => "VARCHAR(50) COLLATE NOCASE",
        #[cfg(feature = "mysql")]
        Kind::Mysql => "VARCHAR(50) COLLATE utf8mb4_unicode_ci",
        _ => return,
    };
    let database = items_of(kind, loose).await.expect("there before");
    let expected = ["ANN=item 0", "Ann=item 0", "ann=item 0"];
    for batch in ["1", "100"] {
        for keys in
            [vec!["ANN"], vec!["ANN", "nobody"], vec!["ann", "ANN"], vec!["ANN", "Ann", "ann", "nobody"]]
        {
            let settings =
                [("lookup.item.batch", batch), ("job.parallelism", "1"), ("lookup.item.on_miss", "skip")];
            let (_, mut joined) = look_up(&database, texts(&keys), &settings, items).await;
            joined.sort();
            let expected: Vec<_> =
                expected.iter().filter(|text| keys.contains(&text.split_once('=').unwrap().0)).collect();
            assert_eq!(joined.iter().collect::<Vec<_>>(), expected, "batch {batch}, keys {keys:?}");
        }
    }
}

async fn finds_composite_keys(kind: Kind) {
    let Some(database) = Database::open(kind).await else { return };
    let text = exact_text(kind);
    let columns = format!("shop INT, code {text}, name VARCHAR(50) NOT NULL, PRIMARY KEY (shop, code)");
    database.table("contract_prices", &columns).await;
    let rows =
        (0..20).flat_map(|shop| (0..20).map(move |code| format!("{shop}, 'c{code}', 'p{shop}-{code}'")));
    for statement in inserts("contract_prices", rows) {
        database.run(&statement).await;
    }
    // Also pairs whose halves are there, but not together.
    database.run("DELETE FROM contract_prices WHERE shop = 3 AND code = 'c4'").await;
    let keys: Vec<(i32, String)> =
        (0..22).flat_map(|shop| (0..22).map(move |code| (shop, format!("c{code}")))).collect();
    let prices = |keys: BoxedStream<(i32, String)>| {
        keys.lookup(
            |key: &(i32, String)| key.clone(),
            |(shop, code): (i32, String), price: &Price| {
                assert_eq!((shop, code.as_str()), (price.shop, price.code.as_str()));
                format!("{shop}{code}={}", price.name)
            },
        )
    };
    let expected = keys.iter().filter(|(shop, code)| {
        let code: i32 = code[1..].parse().unwrap();
        *shop < 20 && code < 20 && (*shop, code) != (3, 4)
    });
    let expected: Vec<_> =
        expected.map(|(shop, code)| format!("{shop}{code}=p{shop}-{}", &code[1..])).collect();
    for preload in ["false", "true"] {
        let settings =
            [("lookup.price.preload", preload), ("job.parallelism", "1"), ("lookup.price.on_miss", "skip")];
        let (_, joined) = look_up(&database, keys.clone(), &settings, prices).await;
        assert_eq!(joined, expected, "preload {preload}");
    }
}

at_every_place!(databases: finds_rows_in_batches finds_texts finds_composite_keys);
