//! Where records come from or go to: how to prepare it, to configure it, and to look into it from outside.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use flare::jdbc::Datasource;
use flare::prelude::*;
use flare::{ErrorKind, Runner};

use crate::support::Folder;

/// What is there to be tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Files,
    Sqlite,
    #[cfg(feature = "mysql")]
    Mysql,
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "kafka")]
    Kafka,
}

/// What a sink can do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capability {
    /// A record replaces the one of the same key.
    pub(crate) replaces: bool,
    /// Values may be refused.
    pub(crate) refuses: bool,
}

/// Writes one module of tests for each place: `at_every_place!(databases: test_name …)`.
macro_rules! at_every_place {
    (@one $(#[$condition:meta])* $place:ident $kind:ident [$($test:ident)*]) => {
        $(#[$condition])*
        mod $place {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::place::Kind::$kind).await;
                }
            )*
        }
    };
    (servers: $($tests:tt)*) => {
        $crate::place::at_every_place!(@one #[cfg(feature = "mysql")] mysql Mysql [$($tests)*]);
        $crate::place::at_every_place!(@one #[cfg(feature = "postgres")] postgres Postgres [$($tests)*]);
    };
    (databases: $($tests:tt)*) => {
        $crate::place::at_every_place!(@one sqlite Sqlite [$($tests)*]);
        $crate::place::at_every_place!(servers: $($tests)*);
    };
    (logs: $($tests:tt)*) => {
        $crate::place::at_every_place!(@one files Files [$($tests)*]);
        $crate::place::at_every_place!(@one #[cfg(feature = "kafka")] kafka Kafka [$($tests)*]);
    };
}
pub(crate) use at_every_place;

/// The address of a server; `None` when there is none to test with.
#[cfg(any(feature = "kafka", feature = "mysql", feature = "postgres"))]
pub(crate) fn server(variable: &str) -> Option<String> {
    match std::env::var(variable) {
        Ok(address) => Some(address),
        Err(_) => {
            assert!(std::env::var_os("CI").is_none(), "{variable} is not set, and this is CI");
            println!("skipped: {variable} is not set");
            None
        }
    }
}

impl Kind {
    pub(crate) fn capability(self) -> Capability {
        match self {
            Self::Files => Capability { replaces: false, refuses: false },
            #[cfg(feature = "kafka")]
            Self::Kafka => Capability { replaces: false, refuses: true },
            _ => Capability { replaces: true, refuses: true },
        }
    }

    /// The url of the database; `None` when it has no server to test with.
    pub(crate) fn url(self) -> Option<String> {
        match self {
            Self::Sqlite => Some("sqlite:place.db".to_owned()),
            #[cfg(feature = "mysql")]
            Self::Mysql => server("FLARE_TEST_MYSQL"),
            #[cfg(feature = "postgres")]
            Self::Postgres => server("FLARE_TEST_POSTGRES"),
            _ => unreachable!("{self:?} is no database"),
        }
    }

    /// The type of a text that is compared byte for byte.
    fn exact(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => "COLLATE utf8mb4_bin",
            _ => "",
        }
    }
}

/// A database and the section that configures it as the datasource `place`.
pub(crate) struct Database {
    pub(crate) folder: Folder,
    pub(crate) section: String,
    pub(crate) datasource: Datasource,
}

impl Database {
    pub(crate) async fn open(kind: Kind) -> Option<Self> {
        let url = kind.url()?;
        let folder = Folder::new();
        let section = format!("[datasource.place]\nurl = \"{url}\"\n");
        let datasource = datasource(folder.configure(&section)).await;
        Some(Self { folder, section, datasource })
    }

    /// A table of this name, made anew.
    pub(crate) async fn table(&self, name: &str, columns: &str) {
        self.run(&format!("DROP TABLE IF EXISTS {name}")).await;
        self.run(&format!("CREATE TABLE {name} ({columns})")).await;
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.datasource.execute(sql, ()).await.unwrap_or_else(|error| panic!("{}", error.report()));
    }

    /// The one number that a query gives.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let row = self.datasource.query_one::<Number>(sql, ()).await;
        row.unwrap_or_else(|error| panic!("{}", error.report())).unwrap().n
    }
}

/// A number, called `n` in the query.
#[derive(FromRow)]
struct Number {
    n: i64,
}

/// The datasource `place` of a configuration, for looking from outside: of a job that is described and never run.
async fn datasource(config: PathBuf) -> Datasource {
    let found = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&found);
    let described = Runner::described("outside", move |job| {
        *slot.lock().unwrap() = Some(job.datasource("place")?);
        Err(Error::new(ErrorKind::Failed, "not to be run"))
    });
    let _ = described.config(config).run().await;
    let datasource = found.lock().unwrap().take();
    datasource.expect("the section is right")
}

/// What every sink is given: the number of a key, and which record of this key it is.
#[jdbc(datasource = "place", table = "set_by_configuration", name = "stored")]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, FromRow)]
pub(crate) struct Stored {
    #[key]
    pub(crate) id: i64,
    pub(crate) turn: i64,
    pub(crate) label: Option<String>,
}

impl Stored {
    pub(crate) fn new(id: i64, turn: i64) -> Self {
        Self { id, turn, label: Some(format!("{id}/{turn}")) }
    }
}

/// The longest label that a place takes, where it has one.
pub(crate) const LABEL: usize = 20;

/// A place to write to.
pub(crate) struct Target {
    pub(crate) kind: Kind,
    state: State,
}

enum State {
    Files(Folder),
    Table {
        database: Box<Database>,
        table: String,
    },
    #[cfg(feature = "kafka")]
    Topic {
        folder: Folder,
        topic: crate::topic::Topic,
    },
}

impl Target {
    /// A new and empty place for the test of this name; `None` when it has no server to test with.
    pub(crate) async fn prepare(kind: Kind, test: &str) -> Option<Self> {
        let state = match kind {
            Kind::Files => State::Files(Folder::new()),
            #[cfg(feature = "kafka")]
            Kind::Kafka => {
                let topic = crate::topic::Topic::new(2, &[("max.message.bytes", "2000")]).await?;
                State::Topic { folder: Folder::new(), topic }
            }
            _ => {
                let database = Box::new(Database::open(kind).await?);
                let table = format!("contract_{test}");
                let columns = format!(
                    "id BIGINT PRIMARY KEY, turn BIGINT NOT NULL, label VARCHAR({LABEL}) NOT NULL CHECK (LENGTH(label) <= {LABEL})"
                );
                database.table(&table, &columns).await;
                State::Table { database, table }
            }
        };
        Some(Self { kind, state })
    }

    pub(crate) fn folder(&self) -> &Folder {
        match &self.state {
            State::Files(folder) => folder,
            State::Table { database, .. } => &database.folder,
            #[cfg(feature = "kafka")]
            State::Topic { folder, .. } => folder,
        }
    }

    /// Writes the configuration of a job that ends here; `settings` are further ones of the sink.
    pub(crate) fn configure(&self, settings: &str) -> PathBuf {
        let sections = match &self.state {
            State::Files(_) => {
                format!("[sink.stored]\nconnector = \"files\"\npath = \"stored.jsonl\"\n{settings}\n")
            }
            State::Table { database, table } => {
                format!("{}\n[sink.stored]\ntable = \"{table}\"\n{settings}\n", database.section)
            }
            #[cfg(feature = "kafka")]
            State::Topic { topic, .. } => format!(
                "{}[sink.stored]\nconnector = \"kafka\"\ntopic = \"{}\"\n{settings}\n",
                topic.cluster(),
                topic.name
            ),
        };
        self.folder().configure(&sections)
    }

    /// Everything that is there, records of one key in their order.
    pub(crate) async fn content(&self) -> Vec<Stored> {
        let parse = |lines: Vec<String>| {
            lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Stored>>()
        };
        match &self.state {
            State::Files(folder) => parse(folder.lines("stored")),
            State::Table { database, table } => {
                let sql = format!("SELECT id, turn, label FROM {table} ORDER BY id");
                let rows = database.datasource.query_list(&sql, ()).await;
                rows.unwrap_or_else(|error| panic!("{}", error.report()))
            }
            #[cfg(feature = "kafka")]
            State::Topic { topic, .. } => parse(topic.content().await),
        }
    }

    /// What a reader finds in the end: the last record of every key.
    pub(crate) async fn latest(&self) -> BTreeMap<i64, Stored> {
        self.content().await.into_iter().map(|stored| (stored.id, stored)).collect()
    }
}

/// Text columns that are compared byte for byte, whatever the database does by itself.
pub(crate) fn exact_text(kind: Kind) -> String {
    format!("VARCHAR(50) {}", kind.exact())
}
