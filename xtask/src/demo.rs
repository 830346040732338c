//! Prepares the servers for the example `order_wide` on Kafka and MySQL.

use std::fs::File;

use anyhow::{Context, Result, ensure};

use crate::command;
use crate::services::{self, kafka};
use crate::workspace::Workspace;

const TOPICS: &[&str] = &["orders", "orders-dirty"];
const ORDERS: &str = "examples/order_wide/orders.jsonl";
const NEXT: &str = "cargo run --example order_wide --features kafka,mysql -- --profile kafka";

/// Starts Kafka and MariaDB, creates the topics, and writes the example's orders to the first one.
pub(crate) fn run(workspace: &Workspace) -> Result<u8> {
    let folder = workspace.services();
    services::up(&folder, &["kafka".to_owned(), "mariadb".to_owned()])?;
    for topic in TOPICS {
        let mut create = kafka::tool(&folder, "org.apache.kafka.tools.TopicCommand")?;
        create.args(["--create", "--if-not-exists", "--partitions", "2", "--topic", topic]);
        command::output(&mut create).with_context(|| format!("the topic `{topic}` cannot be created"))?;
    }
    let file = workspace.root.join(ORDERS);
    let orders = File::open(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut produce = kafka::tool(&folder, "org.apache.kafka.tools.ConsoleProducer")?;
    let written = produce.args(["--topic", TOPICS[0]]).stdin(orders).output()?;
    ensure!(written.status.success(), "the orders cannot be written to Kafka: {}", written.status);
    eprintln!("the orders are in the topic `{}`; now run\n\n  {NEXT}\n", TOPICS[0]);
    eprintln!("it reads on until Ctrl-C; `cargo xtask services down` stops the servers");
    Ok(0)
}
