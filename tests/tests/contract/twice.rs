//! Two copies of one job at the same time, on the same files and the same database.

use std::process::Child;

use crate::place::{Database, Kind};
use crate::support::{Folder, ended, orders};

const CONFIG: &str = r#"
[source.Order]
connector = "files"
path = "orders.jsonl"

[datasource.users]
url = "sqlite:shop.db"
init_sql = "shop.sql"

[datasource.dw]
url = "sqlite:shop.db"
init_sql = "shop.sql"
"#;

const ORDERS: usize = 10_000;

fn start(folder: &Folder, log: &str) -> Child {
    orders(folder, log, &["sink.Wide.batch=50"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_copies_end_and_rows_are_right() {
    let database = Database::open(Kind::Sqlite).await.expect("it needs no server");
    let folder = &database.folder;
    folder.configure(&CONFIG.replace("shop.db", "place.db"));
    let orders = (0..ORDERS).map(|id| format!("{{\"id\":{id},\"user_id\":{}}}\n", id % 100));
    folder.write("orders.jsonl", orders.collect::<String>());
    let rows: Vec<_> = (0..100).map(|id| format!("({id}, 'user {id}')")).collect();
    let tables = "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT);
                  CREATE TABLE IF NOT EXISTS wide (id INTEGER PRIMARY KEY, name TEXT NOT NULL);";
    folder.write("shop.sql", format!("{tables}\nINSERT OR REPLACE INTO users VALUES {};", rows.join(", ")));
    let copies = ["first.log", "second.log"].map(|log| (start(folder, log), log));
    for (copy, log) in copies {
        let (status, summary) = ended(copy).await;
        let report = std::fs::read_to_string(folder.path(log)).unwrap();
        assert!(status.success(), "{report}");
        assert_eq!(
            (&summary["records_in"], &summary["records_out"]),
            (&ORDERS.into(), &ORDERS.into()),
            "{report}"
        );
    }
    let sql = "SELECT COUNT(*) AS n FROM wide WHERE name = 'user ' || (id % 100)";
    assert_eq!(database.number(sql).await, ORDERS as i64);
    assert_eq!(database.number("SELECT COUNT(*) AS n FROM wide").await, ORDERS as i64);
}
