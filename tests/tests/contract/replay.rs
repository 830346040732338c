//! Dirty records that landed in Kafka and in MySQL run through the job again.

use std::process::Command;

use crate::place::{Database, Kind};
use crate::support::{ended, inserts, orders};
use crate::topic::Topic;

const ORDERS: i64 = 2_000;
/// Every tenth order is of a user who is not there yet.
const LATE: i64 = ORDERS / 10;

/// Orders in two partitions, whose dirty records land as `dirty` says.
async fn after_a_run(test: &str, dirty: impl Fn(&Topic) -> String) -> Option<(Topic, Topic, Database)> {
    let (topic, aside) = (Topic::new(2, &[]).await?, Topic::new(1, &[]).await?);
    let database = Database::open(Kind::Mysql).await?;
    let (users, table) = (format!("contract_{test}_users"), format!("contract_{test}"));
    database.table(&users, "id BIGINT PRIMARY KEY, name VARCHAR(50) NOT NULL").await;
    database.table(&table, "id BIGINT PRIMARY KEY, name VARCHAR(50) NOT NULL").await;
    for statement in inserts(&users, (1..10).map(|id| format!("{id}, 'user {id}'"))) {
        database.run(&statement).await;
    }
    for partition in 0..2 {
        let own = (0..ORDERS).filter(|id| id / 10 % 2 == i64::from(partition));
        let orders = own.map(|id| format!("{{\"id\":{id},\"user_id\":{}}}", id % 10));
        topic.fill(partition, orders.collect()).await;
    }
    topic.fill(0, vec!["not an order"]).await;
    let url = std::env::var("FLARE_TEST_MYSQL").unwrap();
    let sections = format!(
        "{}[job]\nparallelism = 2\n
         [datasource.users]\nurl = \"{url}\"\n[datasource.dw]\nurl = \"{url}\"\n
         [source.Order]\ntopic = \"{name}\"\ngroup = \"{name}\"\nend = \"latest\"\n
         [lookup.User]\nsql = \"SELECT id, name FROM {users} WHERE id = :id\"\n
         [sink.Wide]\ntable = \"{table}\"\n[dirty]\n{}\n",
        topic.cluster(),
        dirty(&aside),
        name = topic.name,
    );
    database.folder.write("flare.toml", sections);
    let (status, summary) = ended(orders(&database.folder, "orders.log", &[])).await;
    assert!(status.success(), "{}", report(&database));
    assert_eq!(summary["records_out"], ORDERS - LATE, "{summary}");
    database.run(&format!("INSERT INTO {users} VALUES (0, 'user 0')")).await;
    Some((topic, aside, database))
}

fn report(database: &Database) -> String {
    std::fs::read_to_string(database.folder.path("orders.log")).unwrap()
}

/// Replays everything: the late orders are written, the bad one is turned aside again.
async fn replays(test: &str, topic: &Topic, database: &Database) {
    let committed = topic.committed(&topic.name).await;
    let folder = &database.folder;
    let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
    command.arg("--config").arg(folder.path("flare.toml")).args(["dirty", "replay", "--json"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(report.contains(&format!("1 records from the bytes that landed, {LATE} read again")), "{report}");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["records_in"], &summary["records_out"]), (&(LATE + 1).into(), &LATE.into()));
    let written = database.number(&format!("SELECT COUNT(*) AS n FROM contract_{test}")).await;
    assert_eq!(written, ORDERS);
    assert_eq!(topic.committed(&topic.name).await, committed, "a replay commits no offset");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_topic() {
    let dirty = |aside: &Topic| format!("connector = \"kafka\"\ntopic = \"{}\"", aside.name);
    let Some((topic, aside, database)) = after_a_run("replay_topic", dirty).await else { return };
    replays("replay_topic", &topic, &database).await;
    assert_eq!(aside.content().await.len() as i64, LATE + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_table() {
    let test = "replay_table";
    let Some(outside) = Database::open(Kind::Mysql).await else { return };
    outside.run("DROP TABLE IF EXISTS contract_dirty").await;
    let table = include_str!("../../../flare/src/docs/dirty.sql").replace('"', "`");
    let table = table.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    outside.run(&table.trim_end_matches(';').replace("EXISTS dirty", "EXISTS contract_dirty")).await;
    let dirty = |_: &Topic| {
        "connector = \"jdbc\"\ndatasource = \"dw\"\ntable = \"contract_dirty\"\nmode = \"insert\"".to_owned()
    };
    let Some((topic, _, database)) = after_a_run(test, dirty).await else { return };
    replays(test, &topic, &database).await;
    let landed = database.number("SELECT COUNT(*) AS n FROM contract_dirty").await;
    assert_eq!(landed, LATE + 2);
}
