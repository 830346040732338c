//! Delivery when the process is killed or stopped: Kafka, a lookup and an upsert in MySQL, in a process of its own.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

use crate::place::{Database, Kind};
use crate::support::{ended, inserts, orders, until};
use crate::topic::Topic;

const ORDERS: i64 = 30_000;
const USERS: i64 = 500;

/// A topic of orders, and the tables of users and of what is written.
struct Shop {
    topic: Topic,
    database: Database,
    table: String,
}

impl Shop {
    async fn open(test: &str) -> Option<Self> {
        let topic = Topic::new(2, &[]).await?;
        let database = Database::open(Kind::Mysql).await?;
        let (users, table) = (format!("contract_{test}_users"), format!("contract_{test}"));
        database.table(&users, "id BIGINT PRIMARY KEY, name VARCHAR(50) NOT NULL").await;
        database.table(&table, "id BIGINT PRIMARY KEY, name VARCHAR(50) NOT NULL").await;
        for statement in inserts(&users, (0..USERS).map(|id| format!("{id}, 'user {id}'"))) {
            database.run(&statement).await;
        }
        for partition in 0..2 {
            let own = (0..ORDERS).filter(|id| id % 2 == i64::from(partition));
            let orders = own.map(|id| format!("{{\"id\":{id},\"user_id\":{}}}", id % USERS));
            topic.fill(partition, orders.collect()).await;
        }
        let url = std::env::var("FLARE_TEST_MYSQL").unwrap();
        let sections = format!(
            "{}[job]\ncheckpoint = \"200ms\"\nparallelism = 2\nbatch = 100\nbuffer = 2\n
             [datasource.users]\nurl = \"{url}\"\n[datasource.dw]\nurl = \"{url}\"\n
             [source.Order]\ntopic = \"{name}\"\ngroup = \"{name}\"\nbatch = 200\n
             [lookup.User]\nsql = \"SELECT id, name FROM {users} WHERE id = :id\"\n
             [sink.Wide]\ntable = \"{table}\"\nbatch = 20\n",
            topic.cluster(),
            name = topic.name,
        );
        database.folder.configure(&sections);
        Some(Self { topic, database, table })
    }

    fn start(&self, settings: &[&str]) -> Child {
        orders(&self.database.folder, "orders.log", settings)
    }

    /// What the last process reported.
    fn report(&self) -> String {
        std::fs::read_to_string(self.database.folder.path("orders.log")).unwrap()
    }

    async fn written(&self) -> i64 {
        self.database.number(&format!("SELECT COUNT(*) AS n FROM {}", self.table)).await
    }

    /// Starts an endless run and waits until this many rows are there, and offsets beyond `committed`.
    async fn start_until(&self, rows: i64, committed: i64) -> Child {
        let mut process = self.start(&[]);
        until("rows and offsets", async || {
            assert_eq!(process.try_wait().unwrap(), None, "{}", self.report());
            self.written().await >= rows && self.topic.committed(&self.topic.name).await >= committed
        })
        .await;
        process
    }

    /// Runs to the end of the topic and gives the summary.
    async fn finish(&self) -> serde_json::Value {
        let process = self.start(&["source.Order.end=latest"]);
        let (status, summary) = ended(process).await;
        assert!(status.success(), "{}", self.report());
        summary
    }

    async fn assert_complete(&self) {
        let right =
            format!("SELECT COUNT(*) AS n FROM {} WHERE name = CONCAT('user ', id % {USERS})", self.table);
        assert_eq!((self.database.number(&right).await, self.written().await), (ORDERS, ORDERS));
        assert_eq!(self.database.folder.dirty(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missing_after_kills() {
    let Some(shop) = Shop::open("kill").await else { return };
    // The first kill may come before anything is committed, the others come after a further commit.
    let (mut committed, mut written) = (-1, 0);
    for rows in [1000, 4000, 8000] {
        let mut process = shop.start_until(rows, committed + 1).await;
        process.kill().unwrap();
        process.wait().unwrap();
        written = shop.written().await;
        committed = shop.topic.committed(&shop.topic.name).await;
        assert!(written < ORDERS, "killed too late to tell");
        assert!(committed <= written, "{committed} committed, and {written} written");
    }
    let summary = shop.finish().await;
    shop.assert_complete().await;
    assert!(committed > 0);
    // A commit that was under way may still have arrived.
    let read = summary["records_in"].as_i64().unwrap();
    assert!((ORDERS - written..=ORDERS - committed).contains(&read), "{committed} committed: {summary}");
    assert_eq!(shop.topic.committed(&shop.topic.name).await, ORDERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_twice_after_a_stop() {
    let Some(shop) = Shop::open("stop").await else { return };
    let mut read = 0;
    for further in [1000, 4000] {
        let process = shop.start_until(read + further, 0).await;
        kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
        let (status, summary) = ended(process).await;
        assert!(status.success(), "{status}: {}", shop.report());
        assert_eq!(summary["ending"], "stopped");
        read += summary["records_in"].as_i64().unwrap();
        assert_eq!(shop.written().await, read, "what was read is written: {summary}");
    }
    assert!(read < ORDERS, "stopped too late to tell");
    let summary = shop.finish().await;
    assert_eq!(summary["records_in"], ORDERS - read, "{summary}");
    shop.assert_complete().await;
}
