//! A server that is gone for a while and comes back: a proxy before the database cuts its connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flare::prelude::*;
use flare::source::{Intake, Meta, Progress, Source};
use flare::{Runner, Summary};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::place::{Database, Kind, at_every_place};
use crate::support::{inserts, run_while, until};

/// What a proxy does with connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    /// As a server that is not there.
    Refuse,
    /// As a balancer without a server behind it.
    Close,
}

/// Stands before a server.
struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
}

impl Proxy {
    async fn before(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, changes) = watch::channel(Way::Forward);
        tokio::spawn(serve(address, listener, target, changes));
        Self { address, way }
    }

    /// Connections of before are cut.
    fn change(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn serve(
    address: SocketAddr,
    listener: TcpListener,
    target: String,
    mut changes: watch::Receiver<Way>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let way = *changes.borrow_and_update();
        if way == Way::Refuse {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(address).await.unwrap());
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await.unwrap().0,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                connections.shutdown().await;
            }
            mut client = accepted => if way == Way::Forward {
                let target = target.clone();
                connections.spawn(async move {
                    let mut server = TcpStream::connect(target).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            },
        }
    }
}

/// Found by number; every record asks for a row of its own.
#[async_lookup(
    datasource = "cut",
    sql = "SELECT id, name FROM set_by_configuration WHERE id = :id",
    name = "buyer"
)]
#[derive(Clone, Debug, FromRow)]
struct Buyer {
    #[key]
    id: u64,
    name: String,
}

/// What is written.
#[jdbc(datasource = "cut", table = "set_by_configuration", name = "bought", batch = 50, flush = "50ms")]
#[derive(Clone, Debug, Serialize)]
struct Bought {
    #[key]
    id: u64,
    name: String,
}

/// A few numbers a millisecond, up to `end`; then it waits until it is stopped.
struct Trickle {
    next: u64,
    read: Arc<AtomicU64>,
}

#[flare::source::async_trait]
impl Source<u64> for Trickle {
    async fn read(&mut self, intake: &mut Intake<u64>) -> Result<Progress> {
        if self.next == RECORDS {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        for _ in 0..10 {
            intake.batch.push(self.next, Meta::NONE);
            self.next += 1;
        }
        self.read.store(self.next, Ordering::SeqCst);
        Ok(Progress::More)
    }
}

const RECORDS: u64 = 6000;

struct Outage {
    database: Database,
    table: String,
    summary: Summary,
}

/// Runs the job through an outage of this length.
async fn outage(kind: Kind, test: &str, length: Duration, settings: &[(&str, &str)]) -> Option<Outage> {
    let url = kind.url()?;
    let database = Database::open(kind).await?;
    let (buyers, table) = (format!("contract_{test}_buyers"), format!("contract_{test}"));
    database.table(&buyers, "id BIGINT PRIMARY KEY, name VARCHAR(50) NOT NULL").await;
    database.table(&table, "id BIGINT PRIMARY KEY, name VARCHAR(50) NOT NULL").await;
    for statement in inserts(&buyers, (0..RECORDS).map(|id| format!("{id}, 'buyer {id}'"))) {
        database.run(&statement).await;
    }
    let (head, rest) = url.split_once('@').expect("user:password@host:port/database");
    let (host, name) = rest.split_once('/').expect("host:port/database");
    let proxy = Proxy::before(host.to_owned()).await;
    let sections = format!(
        "[datasource.cut]\nurl = \"{head}@{}/{name}\"\n[lookup.buyer]\nsql = \"SELECT id, name FROM {buyers} WHERE id = :id\"\n[sink.bought]\ntable = \"{table}\"\n",
        proxy.address
    );
    let config = database.folder.configure(&sections);
    let read = Arc::new(AtomicU64::new(0));
    let progress = Arc::clone(&read);
    let mut runner = Runner::described("bears", move |job| {
        let ids = job.source_with("trickle", move |_| {
            let source = Trickle { next: 0, read: Arc::clone(&progress) };
            async move { Ok(source) }
        });
        let join = |id: u64, buyer: &Buyer| Bought { id, name: buyer.name.clone() };
        ids.parallelism(1).lookup(|id: &u64| *id, join)?.sink::<Bought>()
    });
    runner = runner.config(config).set("job.checkpoint", "100ms");
    for (key, value) in settings {
        runner = runner.set(key, value);
    }
    let written = format!("SELECT COUNT(*) AS n FROM {table}");
    let watch = async {
        until("rows before the outage", async || database.number(&written).await >= 500).await;
        for way in [Way::Refuse, Way::Close] {
            proxy.change(way);
            tokio::time::sleep(length / 2).await;
        }
        let before = database.number(&written).await;
        proxy.change(Way::Forward);
        until("everything read", async || read.load(Ordering::SeqCst) == RECORDS).await;
        until("rows after the outage", async || database.number(&written).await > before).await;
    };
    let summary = run_while(runner, watch).await;
    Some(Outage { database, table, summary })
}

impl Outage {
    /// Rows that are right, and rows at all.
    async fn rows(&self) -> (u64, u64) {
        let all = format!("SELECT COUNT(*) AS n FROM {}", self.table);
        let right = format!("{all} WHERE name = CONCAT('buyer ', id)");
        (self.database.number(&right).await as u64, self.database.number(&all).await as u64)
    }
}

async fn nothing_is_missing_when_patience_is_longer_than_the_outage(kind: Kind) {
    let settings = [
        ("sink.bought.retry.times", "100"),
        ("sink.bought.retry.max_backoff", "200ms"),
        ("lookup.buyer.retry.times", "100"),
        ("lookup.buyer.retry.max_backoff", "200ms"),
        ("lookup.buyer.timeout", "40s"),
    ];
    let Some(outage) = outage(kind, "patience", Duration::from_secs(2), &settings).await else { return };
    assert_eq!(outage.database.folder.dirty(), []);
    assert_eq!(outage.rows().await, (RECORDS, RECORDS));
    assert_eq!((outage.summary.records_in, outage.summary.records_out), (RECORDS, RECORDS));
}

async fn records_are_turned_aside_when_patience_is_shorter(kind: Kind) {
    let settings = [
        ("sink.bought.retry.times", "100"),
        ("sink.bought.retry.max_backoff", "200ms"),
        ("lookup.buyer.timeout", "300ms"),
        ("lookup.buyer.retry.times", "1"),
    ];
    let Some(outage) = outage(kind, "impatience", Duration::from_secs(2), &settings).await else { return };
    let dirty = outage.database.folder.dirty();
    assert!(!dirty.is_empty(), "{}", outage.summary.text());
    for record in &dirty {
        assert!(["timeout", "unavailable"].contains(&record.kind.as_str()), "{record:?}");
        assert_eq!(record.operator, "lookup.buyer");
    }
    let mut numbers: Vec<u64> = dirty.iter().map(|dirty| dirty.raw.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), dirty.len(), "a record is turned aside once");
    let written = RECORDS - dirty.len() as u64;
    assert_eq!(outage.rows().await, (written, written));
}

at_every_place!(servers: nothing_is_missing_when_patience_is_longer_than_the_outage records_are_turned_aside_when_patience_is_shorter);
