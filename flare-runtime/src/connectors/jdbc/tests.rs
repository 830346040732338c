//! One suite for every database: SQLite always, the servers where `FLARE_TEST_MYSQL` and `FLARE_TEST_POSTGRES` name
//! them.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::dialect::Dialect;
use super::{Datasource, register};
use crate::api::{
    Binding, Metrics, Opening, Registry, Resources, RowBatch, RowLookup, Sink, SinkContext, SinkFactory,
};
use crate::config::{Config, Layer, Problems};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Column, FromRow, FromValue as _, Meta, OperatorId, Row, RowSchema, Timestamp, Value};

const fn column(name: &'static str, key: bool) -> Column {
    Column { field: name, name, key }
}

const USER: RowSchema =
    RowSchema { columns: &[column("id", true), column("name", false), column("level", false)] };
const STOCK: RowSchema =
    RowSchema { columns: &[column("shop", true), column("item", true), column("amount", false)] };
const EVERYTHING: RowSchema = RowSchema {
    columns: &[
        column("k", true),
        column("flag", false),
        column("small", false),
        column("big", false),
        column("ratio", false),
        column("label", false),
        column("price", false),
        column("raw", false),
        column("seen", false),
        column("stamp", false),
        column("day", false),
        column("doc", false),
    ],
};

#[derive(Clone, Debug, PartialEq)]
struct User {
    id: i64,
    name: String,
    level: Option<i32>,
}

impl FromRow for User {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self { id: row.get("id")?, name: row.get("name")?, level: row.get("level")? })
    }
}

/// A number alone.
struct Count(i64);

impl FromRow for Count {
    fn from_row(row: &Row) -> Result<Self> {
        i64::from_value(&row.values()[0]).map(Self)
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn user(id: i64, name: &str, level: i64) -> Vec<Value> {
    vec![Value::Int(id), text(name), Value::Int(level)]
}

fn batch(schema: RowSchema, rows: Vec<Vec<Value>>) -> RowBatch {
    let metas = vec![Meta::NONE; rows.len()];
    RowBatch { schema, rows, metas }
}

/// One database to test on.
struct Bench {
    dialect: Dialect,
    folder: TempDir,
    config: String,
    resources: Resources,
}

impl Bench {
    fn new(dialect: Dialect) -> Option<Self> {
        let variable = format!("FLARE_TEST_{}", dialect.name().to_uppercase());
        let url = match (dialect, std::env::var(&variable)) {
            (Dialect::Sqlite, _) => "sqlite:data/test.db".to_owned(),
            (_, Ok(url)) => url,
            (_, Err(_)) if std::env::var_os("CI").is_some() => panic!("{variable} must be set in CI"),
            (_, Err(_)) => {
                eprintln!("skipped: {variable} is not set");
                return None;
            }
        };
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!("[datasource.db]\nurl = \"{url}\"\nmax_connections = 3\n");
        Some(Self { dialect, folder, config, resources: Resources::default() })
    }

    fn with_opening<T>(
        &self,
        section: &str,
        schema: RowSchema,
        open: impl FnOnce(&mut Opening<'_>) -> T,
    ) -> (T, Problems) {
        let path = self.folder.path().join("flare.toml");
        let toml = format!("{}\n[it.x]\n{section}", self.config);
        let layer = Layer::text(&path, &toml).expect("toml");
        let mut config = Config::new(self.folder.path().to_owned(), vec![layer], std::iter::empty(), None);
        let binding = Binding { section: "it.x".to_owned(), attribute: None, schema };
        let mut problems = Problems::default();
        let mut opening = Opening {
            binding: &binding,
            job: "test",
            config: &mut config,
            resources: &self.resources,
            problems: &mut problems,
            common: &[],
        };
        let opened = open(&mut opening);
        (opened, problems)
    }

    fn sink_factory(&self, table: &str, mode: &str, schema: RowSchema) -> SinkFactory {
        let section = format!("datasource = \"db\"\ntable = \"{table}\"\nmode = \"{mode}\"");
        let (factory, problems) = self.with_opening(&section, schema, |opening| connector().sink(opening));
        factory.unwrap_or_else(|| panic!("{problems:?}"))
    }

    async fn sink(&self, table: &str, mode: &str, schema: RowSchema) -> Box<dyn Sink<RowBatch>> {
        let factory = self.sink_factory(table, mode, schema);
        factory.check().await.expect("the table fits");
        let SinkFactory::Rows(factory) = factory else { panic!("takes rows") };
        let operator = OperatorId::from("sink");
        let cx = SinkContext { operator, index: 0, parallelism: 1, metrics: Metrics::default(), adds: false };
        factory.create(cx).await.expect("a sink")
    }

    async fn write(&self, table: &str, mode: &str, schema: RowSchema, rows: Vec<Vec<Value>>) -> Result<()> {
        let mut sink = self.sink(table, mode, schema).await;
        let mut rejects = Vec::new();
        sink.write(&batch(schema, rows), &mut rejects).await?;
        sink.flush(&mut rejects).await?;
        assert!(rejects.is_empty());
        Ok(())
    }

    fn lookup(&self, sql: &str, schema: RowSchema) -> Box<dyn RowLookup> {
        let section = format!("datasource = \"db\"\nsql = '''{sql}'''");
        let (lookup, problems) = self.with_opening(&section, schema, |opening| connector().lookup(opening));
        lookup.unwrap_or_else(|| panic!("{problems:?}"))
    }

    fn datasource(&self) -> Datasource {
        let open = |opening: &mut Opening<'_>| super::config::datasource(opening, "db");
        let (datasource, problems) = self.with_opening("", USER, open);
        datasource.unwrap_or_else(|| panic!("{problems:?}"))
    }

    async fn run(&self, statements: &[&str]) {
        let datasource = self.datasource();
        for statement in statements {
            datasource.execute(statement, ()).await.expect(statement);
        }
    }

    /// A table of users called `name`.
    async fn users(&self, name: &str) {
        let create =
            format!("CREATE TABLE {name} (id BIGINT PRIMARY KEY, name VARCHAR(20) NOT NULL, level INT)");
        self.run(&[&format!("DROP TABLE IF EXISTS {name}"), &create]).await;
    }

    async fn all_users(&self, name: &str) -> Vec<User> {
        let sql = format!("SELECT id, name, level FROM {name} ORDER BY id");
        self.datasource().query_list(&sql, ()).await.expect("users")
    }

    async fn names(&self, table: &str) -> Vec<String> {
        self.all_users(table).await.into_iter().map(|user| format!("{}{}", user.id, user.name)).collect()
    }
}

struct Opened(Registry);

fn connector() -> Opened {
    let mut registry = Registry::default();
    register(&mut registry);
    Opened(registry)
}

impl Opened {
    fn sink(&self, opening: &mut Opening<'_>) -> Option<SinkFactory> {
        let connector = self.0.get("jdbc").expect("registered");
        connector.sink.as_ref().expect("has sinks").open(opening, 1)
    }

    fn lookup(&self, opening: &mut Opening<'_>) -> Option<Box<dyn RowLookup>> {
        let connector = self.0.get("jdbc").expect("registered");
        connector.lookup.as_ref().expect("has lookups").open(opening)
    }
}

macro_rules! suite {
    ($($case:ident),* $(,)?) => {
        #[cfg(feature = "sqlite")]
        mod on_sqlite {
            $(suite!(@case Sqlite $case);)*
        }
        #[cfg(feature = "mysql")]
        mod on_mysql {
            $(suite!(@case MySql $case);)*
        }
        #[cfg(feature = "postgres")]
        mod on_postgres {
            $(suite!(@case Postgres $case);)*
        }
    };
    (@case $dialect:ident $case:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            if let Some(bench) = super::Bench::new(super::Dialect::$dialect) {
                super::$case(bench).await;
            }
        }
    };
}

suite! {
    upserts_leave_the_same_rows_when_repeated,
    inserts_updates_and_deletes,
    keeps_the_last_row_of_a_key,
    writes_more_rows_than_parameters_allow,
    reads_back_every_kind_of_value,
    writes_nothing_when_one_row_is_bad,
    tells_what_a_table_lacks,
    writes_and_deletes_composite_keys,
    finds_many_keys_in_one_query,
    finds_composite_and_text_keys,
    runs_other_queries_key_by_key,
    loads_all_rows,
    checks_queries_before_they_run,
    runs_statements_of_user_code,
    rolls_back_what_failed,
    waits_for_connections_without_errors,
    runs_the_init_script_once,
    survives_cancelled_requests,
    goes_on_after_connections_were_cut,
    stops_statements_that_take_too_long,
    reads_what_the_database_calls_otherwise,
}

async fn upserts_leave_the_same_rows_when_repeated(bench: Bench) {
    bench.users("upserted").await;
    let rows = vec![user(1, "Ann", 3), user(2, "Bob", 4), vec![Value::Int(3), text("Eve"), Value::Null]];
    for _ in 0..2 {
        bench.write("upserted", "upsert", USER, rows.clone()).await.expect("written");
    }
    let level = |id: i64, name: &str, level| User { id, name: name.to_owned(), level };
    let expected = [level(1, "Ann", Some(3)), level(2, "Bob", Some(4)), level(3, "Eve", None)];
    assert_eq!(bench.all_users("upserted").await, expected);
    bench.write("upserted", "upsert", USER, vec![user(2, "Rob", 5)]).await.expect("written");
    assert_eq!(bench.names("upserted").await, ["1Ann", "2Rob", "3Eve"]);
}

async fn inserts_updates_and_deletes(bench: Bench) {
    bench.users("modes").await;
    let write = async |mode: &str, rows| bench.write("modes", mode, USER, rows).await;
    write("insert", vec![user(1, "a", 1), user(2, "b", 2), user(3, "c", 3)]).await.expect("inserted");
    let error = write("insert", vec![user(4, "d", 4), user(1, "x", 1)]).await.expect_err("is there");
    assert_eq!(error.kind(), ErrorKind::BadRecord, "{error:?}");
    write("update", vec![user(2, "B", 2), user(9, "none", 9), user(2, "BB", 2)]).await.expect("updated");
    assert_eq!(bench.names("modes").await, ["1a", "2BB", "3c"]);
    write("delete", vec![user(1, "a", 1), user(3, "any", 0), user(8, "none", 0)]).await.expect("deleted");
    assert_eq!(bench.names("modes").await, ["2BB"]);
    let error = write("update", vec![vec![Value::Null, text("x"), Value::Null]]).await.expect_err("no key");
    assert_eq!((error.kind(), error.context("table")), (ErrorKind::BadRecord, Some("modes")));
}

async fn keeps_the_last_row_of_a_key(bench: Bench) {
    bench.users("last").await;
    let rows = vec![user(1, "first", 1), user(2, "only", 1), user(1, "second", 2), user(1, "third", 3)];
    bench.write("last", "upsert", USER, rows).await.expect("written");
    assert_eq!(bench.names("last").await, ["1third", "2only"]);
}

async fn writes_more_rows_than_parameters_allow(bench: Bench) {
    bench.users("many").await;
    let rows: Vec<_> = (0..30_000).map(|id| user(id, "name", id % 7)).collect();
    bench.write("many", "upsert", USER, rows.clone()).await.expect("written");
    let count = async || {
        let count = bench.datasource().query_one::<Count>("SELECT COUNT(*) FROM many", ()).await;
        count.expect("a count").expect("a row").0
    };
    assert_eq!(count().await, 30_000);
    // The last statement fails, and takes the others with it.
    let mut more: Vec<_> = (30_000..60_000).map(|id| user(id, "name", 1)).collect();
    more[29_999][1] = Value::Null;
    let error = bench.write("many", "upsert", USER, more).await.expect_err("a null");
    assert_eq!(error.kind(), ErrorKind::BadRecord, "{error:?}");
    assert_eq!(count().await, 30_000);
    bench.write("many", "delete", USER, rows).await.expect("deleted");
    assert_eq!(count().await, 0);
}

async fn reads_back_every_kind_of_value(bench: Bench) {
    let types = match bench.dialect {
        Dialect::MySql => {
            "flag BOOLEAN, small TINYINT UNSIGNED, big BIGINT UNSIGNED, ratio DOUBLE, \
             label VARCHAR(50) COLLATE utf8mb4_bin, price DECIMAL(20,4), raw BLOB, seen DATETIME(3), \
             stamp TIMESTAMP(3) NULL, day DATE, doc JSON"
        }
        Dialect::Postgres => {
            "flag BOOLEAN, small SMALLINT, big NUMERIC(20), ratio DOUBLE PRECISION, label CHAR(5), \
             price NUMERIC(20,4), raw BYTEA, seen TIMESTAMP, stamp TIMESTAMPTZ, day DATE, doc JSONB"
        }
        Dialect::Sqlite => {
            "flag BOOLEAN, small INTEGER, big INTEGER, ratio REAL, label TEXT, price TEXT, raw BLOB, seen DATETIME, \
             stamp TIMESTAMP, day TEXT, doc TEXT"
        }
    };
    let create = format!("CREATE TABLE kinds (k BIGINT PRIMARY KEY, {types})");
    bench.run(&["DROP TABLE IF EXISTS kinds", &create]).await;
    let big = if bench.dialect == Dialect::Sqlite { i64::MAX as u64 } else { u64::MAX };
    let time = Timestamp::from_millis(1_767_225_600_123);
    let full = vec![
        Value::Int(1),
        Value::Bool(true),
        Value::Int(200),
        i64::try_from(big).map_or(Value::UInt(big), Value::Int),
        Value::Float(0.1),
        text("héé"),
        text("123456789.5000"),
        Value::Bytes(vec![0, 255, 39]),
        Value::Time(time),
        Value::Time(time),
        text("2026-01-31"),
        text("{\"a\": [1, 2]}"),
    ];
    let mut empty = vec![Value::Null; full.len()];
    empty[0] = Value::Int(2);
    // A row of NULLs first, so that the statement is prepared with them.
    bench.write("kinds", "upsert", EVERYTHING, vec![empty.clone()]).await.expect("NULLs");
    bench.write("kinds", "upsert", EVERYTHING, vec![full]).await.expect("values");
    bench.write("kinds", "upsert", EVERYTHING, vec![empty]).await.expect("NULLs again");

    let lookup = bench.lookup("SELECT * FROM kinds WHERE k = :k", EVERYTHING);
    lookup.check().await.expect("valid");
    let rows = lookup.fetch(&[vec![Value::Int(1)]]).await.expect("rows");
    let row = &rows[0];
    assert!(row.get::<bool>("flag").expect("flag"));
    assert_eq!(row.get::<i32>("flag").expect("flag as a number"), 1);
    assert_eq!(row.get::<u8>("small").expect("small"), 200);
    assert_eq!(row.get::<u64>("big").expect("big"), big);
    assert_eq!(row.get::<f64>("ratio").expect("ratio"), 0.1);
    assert_eq!(row.get::<String>("label").expect("label").trim_end(), "héé");
    assert_eq!(row.get::<String>("price").expect("price"), "123456789.5000");
    assert_eq!(row.get::<Vec<u8>>("raw").expect("raw"), [0, 255, 39]);
    assert_eq!(row.get::<Timestamp>("seen").expect("seen"), time);
    assert_eq!(row.get::<Timestamp>("stamp").expect("stamp"), time);
    assert_eq!(row.get::<String>("day").expect("day"), "2026-01-31");
    let doc: serde_json::Value = serde_json::from_str(&row.get::<String>("doc").expect("doc")).expect("json");
    assert_eq!(doc, serde_json::json!({ "a": [1, 2] }));

    let rows = lookup.fetch(&[vec![Value::Int(2)]]).await.expect("rows");
    assert!(rows[0].values()[1..].iter().all(|value| *value == Value::Null), "{rows:?}");
}

async fn writes_nothing_when_one_row_is_bad(bench: Bench) {
    bench.users("bad").await;
    let rows = vec![user(1, "a", 1), vec![Value::Int(2), Value::Null, Value::Null], user(3, "c", 1)];
    let error = bench.write("bad", "upsert", USER, rows).await.expect_err("a null");
    assert_eq!(error.kind(), ErrorKind::BadRecord, "{error:?}");
    assert!(bench.names("bad").await.is_empty());
    if bench.dialect != Dialect::Sqlite {
        let long = vec![user(1, "a", 1), user(2, &"x".repeat(21), 1)];
        let error = bench.write("bad", "upsert", USER, long).await.expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::BadRecord, "{error:?}");
        let large = vec![user(1, "a", 1), user(2, "b", 3_000_000_000)];
        let error = bench.write("bad", "upsert", USER, large).await.expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::BadRecord, "{error:?}");
        let words = vec![user(1, "a", 1), vec![Value::Int(2), text("b"), text("many")]];
        let error = bench.write("bad", "upsert", USER, words).await.expect_err("no number");
        assert_eq!(error.kind(), ErrorKind::BadRecord, "{error:?}");
        assert!(bench.names("bad").await.is_empty());
    }
    // The connection and its statements are as good as before.
    bench.write("bad", "upsert", USER, vec![user(1, "a", 1)]).await.expect("written");
    assert_eq!(bench.names("bad").await, ["1a"]);
}

async fn tells_what_a_table_lacks(bench: Bench) {
    bench.run(&["DROP TABLE IF EXISTS lacking", "CREATE TABLE lacking (id BIGINT, name VARCHAR(20))"]).await;
    let check = async |table: &str, mode: &str, schema| {
        let error = bench.sink_factory(table, mode, schema).check().await.expect_err("unfit");
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert_eq!((error.context("table"), error.context("datasource")), (Some(table), Some("db")));
        error
    };
    assert!(check("nowhere", "insert", USER).await.message().contains("does not exist"));
    assert_eq!(check("lacking", "insert", USER).await.context("missing"), Some("level"));
    const NAMED: RowSchema = RowSchema { columns: &[column("id", true), column("name", false)] };
    assert_eq!(check("lacking", "upsert", NAMED).await.context("key"), Some("id"));
    bench.run(&["CREATE UNIQUE INDEX lacking_id_name ON lacking (id, name)"]).await;
    check("lacking", "upsert", NAMED).await;
    bench.run(&["CREATE UNIQUE INDEX lacking_id ON lacking (id)"]).await;
    bench.sink_factory("lacking", "upsert", NAMED).check().await.expect("unique now");
}

async fn writes_and_deletes_composite_keys(bench: Bench) {
    let create = "CREATE TABLE stock (shop BIGINT, item VARCHAR(20), amount INT, PRIMARY KEY (item, shop))";
    bench.run(&["DROP TABLE IF EXISTS stock", create]).await;
    let row = |shop, item: &str, amount| vec![Value::Int(shop), text(item), Value::Int(amount)];
    let rows = vec![row(1, "a", 1), row(1, "b", 2), row(2, "a", 3), row(1, "a", 4)];
    bench.write("stock", "upsert", STOCK, rows).await.expect("written");
    bench.write("stock", "update", STOCK, vec![row(2, "a", 5)]).await.expect("updated");
    bench.write("stock", "delete", STOCK, vec![row(1, "b", 0), row(2, "b", 0)]).await.expect("deleted");
    let sql = "SELECT shop, item, amount FROM stock WHERE shop = :shop AND item = :item";
    let all = bench.lookup(sql, STOCK).load().await.expect("all");
    let mut amounts: Vec<i32> = all.iter().map(|row| row.get("amount").expect("amount")).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [4, 5]);
}

async fn finds_many_keys_in_one_query(bench: Bench) {
    bench.users("found").await;
    let rows = (1..=300).map(|id| user(id, &format!("n{id}"), id)).collect();
    bench.write("found", "insert", USER, rows).await.expect("written");
    let lookup = bench.lookup("SELECT id, name, level FROM found WHERE level > 0 AND id = :id", USER);
    lookup.check().await.expect("valid");
    assert_eq!((lookup.max_batch(), lookup.concurrency()), (1024, 3));
    let key = |id: i64| vec![Value::Int(id)];
    let fetch = async |keys: &[Vec<Value>]| {
        let rows = lookup.fetch(keys).await.expect("rows");
        let mut ids: Vec<i64> = rows.iter().map(|row| row.get("id").expect("id")).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(fetch(&[key(7), key(999), key(3), key(7)]).await, [3, 7], "misses and duplicates");
    assert_eq!(fetch(&[vec![Value::Null], key(5)]).await, [5]);
    assert!(fetch(&[vec![Value::Null]]).await.is_empty());
    let all: Vec<_> = (1..=2500).map(key).collect();
    assert_eq!(fetch(&all).await.len(), 300, "more keys than one query takes");
}

async fn finds_composite_and_text_keys(bench: Bench) {
    let create = "CREATE TABLE shelf (shop BIGINT NOT NULL, item VARCHAR(20) NOT NULL, amount INT)";
    bench.run(&["DROP TABLE IF EXISTS shelf", create]).await;
    let row = |shop, item: &str, amount| vec![Value::Int(shop), text(item), Value::Int(amount)];
    let rows = vec![row(1, "a", 1), row(1, "it's", 2), row(2, "a", 3), row(2, "a", 4)];
    bench.write("shelf", "insert", STOCK, rows).await.expect("written");
    let sql = "SELECT shop, item, amount FROM shelf WHERE item = :item AND shop = :shop ORDER BY amount";
    let lookup = bench.lookup(sql, STOCK);
    lookup.check().await.expect("valid");
    assert_eq!(lookup.max_batch(), 512);
    let key = |shop, item: &str| vec![Value::Int(shop), text(item)];
    let keys = [key(1, "it's"), key(2, "a"), key(2, "b")];
    let rows = lookup.fetch(&keys).await.expect("rows");
    let amounts: Vec<i32> = rows.iter().map(|row| row.get("amount").expect("amount")).collect();
    assert_eq!(amounts, [2, 3, 4], "several rows of a key");

    const ITEM: RowSchema = RowSchema { columns: &[column("item", true), column("amount", false)] };
    let lookup = bench.lookup("SELECT item, amount FROM shelf WHERE item IN (:item)", ITEM);
    let rows = lookup.fetch(&[vec![text("a")], vec![text("' OR 1 = 1")]]).await.expect("rows");
    assert_eq!(rows.len(), 3);
}

async fn runs_other_queries_key_by_key(bench: Bench) {
    bench.users("single").await;
    let rows = vec![user(1, "a", 5), user(2, "b", 6), user(3, "c", 7)];
    bench.write("single", "insert", USER, rows).await.expect("written");
    let sql = "SELECT id, name, level FROM single WHERE id >= :id ORDER BY id LIMIT 1";
    let lookup = bench.lookup(sql, USER);
    lookup.check().await.expect("valid");
    assert_eq!(lookup.max_batch(), 1);
    let rows = lookup.fetch(&[vec![Value::Int(2)], vec![Value::Int(0)]]).await.expect("rows");
    let names: Vec<String> = rows.iter().map(|row| row.get("name").expect("name")).collect();
    assert_eq!(names, ["b", "a"]);
    let error = lookup.load().await.expect_err("no whole");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

async fn loads_all_rows(bench: Bench) {
    bench.users("loaded").await;
    let rows = vec![user(1, "a", 5), user(2, "b", 6), user(3, "c", -7)];
    bench.write("loaded", "insert", USER, rows).await.expect("written");
    let lookup = bench.lookup("SELECT id, name FROM loaded WHERE id = :id AND level > 0 ORDER BY id", USER);
    let rows = lookup.load().await.expect("rows");
    let ids: Vec<i64> = rows.iter().map(|row| row.get("id").expect("id")).collect();
    assert_eq!(ids, [1, 2]);
}

async fn checks_queries_before_they_run(bench: Bench) {
    bench.users("checked").await;
    let check = async |sql: &str| bench.lookup(sql, USER).check().await.expect_err("wrong");
    let error = check("SELECT name FROM checked WHERE id = :id").await;
    assert_eq!((error.kind(), error.context("column")), (ErrorKind::Config, Some("id")));
    for sql in ["SELECT id FROM nowhere WHERE id = :id", "SELECT id, nmae FROM checked WHERE id = :id"] {
        let error = check(sql).await;
        assert_eq!(error.kind(), ErrorKind::Failed, "{error:?}");
        assert!(error.remedy().is_some_and(|remedy| remedy.contains("correct its name")), "{error:?}");
        assert_eq!(error.context("sql"), Some(sql));
    }
    let section = "datasource = \"db\"\nsql = \"SELECT id FROM checked WHERE id = :key\"";
    let (lookup, problems) = bench.with_opening(section, USER, |opening| connector().lookup(opening));
    assert!(lookup.is_none());
    assert_eq!(problems.len(), 2, "{problems:?}");
}

async fn runs_statements_of_user_code(bench: Bench) {
    bench.users("helped").await;
    let db = bench.datasource();
    let insert = "INSERT INTO helped (id, name, level) VALUES (?, ?, ?)";
    assert_eq!(db.execute(insert, (1, "Ann?", Some(3))).await.expect("inserted"), 1);
    assert_eq!(db.execute(insert, (2, "Bob", None::<i32>)).await.expect("a NULL after a number"), 1);
    assert_eq!(db.execute(insert, (3, "Eve", 7)).await.expect("a number after a NULL"), 1);
    let sql = "SELECT id, name, level FROM helped WHERE id = ? AND name <> '?'";
    let ann: Option<User> = db.query_one(sql, [1]).await.expect("a row");
    assert_eq!(ann.map(|user| user.name).as_deref(), Some("Ann?"));
    let none: Option<User> = db.query_one(sql, (9,)).await.expect("no row");
    assert_eq!(none, None);
    let all: Vec<User> = db.query_list("SELECT * FROM helped ORDER BY id", ()).await.expect("rows");
    assert_eq!(all.len(), 3);
    let error = db.execute(insert, (1, "x")).await.expect_err("too few");
    assert_eq!((error.kind(), error.context("placeholders")), (ErrorKind::User, Some("3")));
    let error = db.execute(insert, (1, "again", 1)).await.expect_err("is there");
    assert_eq!(error.kind(), ErrorKind::BadRecord, "{error:?}");
    let error = db.execute("INSERT INTO helped", ()).await.expect_err("no SQL");
    assert_eq!(error.kind(), ErrorKind::Failed, "{error:?}");
    // From a task, as user code does.
    let task = tokio::spawn(async move { db.query_list::<User>("SELECT * FROM helped", ()).await });
    assert_eq!(task.await.expect("no panic").expect("rows").len(), 3);
}

async fn rolls_back_what_failed(bench: Bench) {
    bench.users("rolled").await;
    let db = bench.datasource();
    let insert = "INSERT INTO rolled (id, name) VALUES (?, ?)";
    let done = tokio::spawn({
        let db = db.clone();
        async move {
            let work = async |tx: &mut super::Transaction| {
                tx.execute(insert, (1, "a")).await?;
                let found: Option<Count> = tx.query_one("SELECT COUNT(*) FROM rolled", ()).await?;
                found.map(|count| count.0).ok_or_else(|| Error::bad_record("no row"))
            };
            db.transaction(work).await
        }
    });
    assert_eq!(done.await.expect("no panic").expect("committed"), 1);
    let failed: Result<()> = db
        .transaction(async |tx| {
            tx.execute(insert, (2, "b")).await?;
            Err(Error::bad_record("changed my mind"))
        })
        .await;
    assert_eq!(failed.expect_err("the user's").message(), "changed my mind");
    let failed = db.transaction(async |tx| {
        tx.execute(insert, (3, "c")).await?;
        tx.execute(insert, (1, "there already")).await
    });
    assert_eq!(failed.await.expect_err("a duplicate").kind(), ErrorKind::BadRecord);
    // One that nobody waits for any more.
    let waiting = db.transaction(async |tx| {
        tx.execute(insert, (4, "d")).await?;
        std::future::pending::<Result<()>>().await
    });
    assert!(tokio::time::timeout(Duration::from_millis(200), waiting).await.is_err());
    assert_eq!(bench.names("rolled").await, ["1a"]);
}

async fn waits_for_connections_without_errors(bench: Bench) {
    bench.users("crowd").await;
    bench.write("crowd", "insert", USER, vec![user(1, "a", 1)]).await.expect("written");
    let lookup: Arc<dyn RowLookup> =
        Arc::from(bench.lookup("SELECT id, name, level FROM crowd WHERE id = :id", USER));
    let requests = (0..200).map(|_| {
        let lookup = Arc::clone(&lookup);
        tokio::spawn(async move { lookup.fetch(&[vec![Value::Int(1)]]).await })
    });
    let requests: Vec<_> = requests.collect();
    for request in requests {
        assert_eq!(request.await.expect("no panic").expect("a row").len(), 1);
    }
    let db = bench.datasource();
    let writes = (0..40).map(|_| {
        let db = db.clone();
        let add = "UPDATE crowd SET level = level + 1 WHERE id = ?";
        tokio::spawn(async move { db.transaction(async |tx| tx.execute(add, (1,)).await).await })
    });
    let writes: Vec<_> = writes.collect();
    for write in writes {
        assert_eq!(write.await.expect("no panic").expect("written"), 1);
    }
    assert_eq!(bench.all_users("crowd").await[0].level, Some(41));
}

async fn runs_the_init_script_once(mut bench: Bench) {
    bench.run(&["DROP TABLE IF EXISTS scripted"]).await;
    let script = "-- two statements\nCREATE TABLE scripted (id BIGINT PRIMARY KEY, name VARCHAR(20), level INT);\n\
                  INSERT INTO scripted VALUES (1, 'a;b', 2);";
    std::fs::write(bench.folder.path().join("init.sql"), script).expect("a file");
    bench.config.push_str("init_sql = \"init.sql\"\n");
    bench.resources = Resources::default();
    let db = bench.datasource();
    let reads = (0..8).map(|_| {
        let db = db.clone();
        tokio::spawn(async move { db.query_list::<User>("SELECT * FROM scripted", ()).await })
    });
    let reads: Vec<_> = reads.collect();
    for read in reads {
        assert_eq!(read.await.expect("no panic").expect("made by the script").len(), 1);
    }
}

async fn survives_cancelled_requests(bench: Bench) {
    bench.users("cancelled").await;
    let rows = (0..2000).map(|id| user(id, "name", id)).collect();
    bench.write("cancelled", "insert", USER, rows).await.expect("written");
    let db = bench.datasource();
    let slow = "SELECT COUNT(*) FROM cancelled a, cancelled b WHERE a.level + b.level > ?";
    for _ in 0..6 {
        let request = db.query_one::<Count>(slow, (1,));
        let _ = tokio::time::timeout(Duration::from_millis(3), request).await;
    }
    let count = db.query_one::<Count>("SELECT COUNT(*) FROM cancelled", ()).await;
    assert_eq!(count.expect("usable").expect("a row").0, 2000);
}

/// Passes connections on to a server until it is told to cut them.
struct Proxy {
    port: u16,
    open: Arc<Mutex<Vec<TcpStream>>>,
    refuses: Arc<AtomicBool>,
}

impl Proxy {
    fn new(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let proxy = Self { port, open: Arc::default(), refuses: Arc::default() };
        let (open, refuses) = (Arc::clone(&proxy.open), Arc::clone(&proxy.refuses));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(|client| client.ok()) {
                let Ok(server) = TcpStream::connect(&server) else { return };
                if refuses.load(Ordering::SeqCst) {
                    continue;
                }
                let ways =
                    [(client.try_clone(), server.try_clone()), (server.try_clone(), client.try_clone())];
                open.lock().expect("no panic").extend([client, server]);
                for (from, to) in ways {
                    let (mut from, mut to) = (from.expect("a copy"), to.expect("a copy"));
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        proxy
    }

    fn cut(&self) {
        for stream in self.open.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

async fn goes_on_after_connections_were_cut(mut bench: Bench) {
    if bench.dialect == Dialect::Sqlite {
        return;
    }
    bench.users("cut").await;
    let url = bench.config.split('"').nth(1).expect("a url").to_owned();
    let server =
        url.rsplit('@').next().and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    let proxy = Proxy::new(server.clone());
    let direct = bench.datasource();
    bench.config = bench.config.replace(&server, &format!("127.0.0.1:{}", proxy.port));
    bench.resources = Resources::default();
    let db = bench.datasource();
    let select = "SELECT COUNT(*) FROM cut";
    let fill = (0..3).map(|_| db.query_one::<Count>(select, ()));
    futures::future::join_all(fill).await;

    // All pooled connections are dead: the first request may find out, none after it.
    proxy.cut();
    let first = db.query_one::<Count>(select, ()).await.map(|_| ());
    assert_eq!(first.expect_err("cut").kind(), ErrorKind::Unavailable);
    for _ in 0..5 {
        db.query_one::<Count>(select, ()).await.expect("a new connection").expect("a row");
    }

    // In the middle of a transaction: nothing of it remains, and repeating it is right.
    let mut sink = bench.sink("cut", "upsert", USER).await;
    let insert = "INSERT INTO cut (id, name) VALUES (?, ?)";
    let failed = db.transaction(async |tx| {
        tx.execute(insert, (1, "lost")).await?;
        proxy.cut();
        tx.execute(insert, (2, "lost")).await
    });
    assert_eq!(failed.await.expect_err("cut").kind(), ErrorKind::Unavailable);

    // While the server is away every write says so; the same batch is written when it is back.
    proxy.refuses.store(true, Ordering::SeqCst);
    proxy.cut();
    let rows = batch(USER, vec![user(1, "a", 1), user(2, "b", 2)]);
    for _ in 0..3 {
        let error = sink.write(&rows, &mut Vec::new()).await.expect_err("away");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
    proxy.refuses.store(false, Ordering::SeqCst);
    sink.write(&rows, &mut Vec::new()).await.expect("back");
    let count: Option<Count> = direct.query_one(select, ()).await.expect("a count");
    assert_eq!(count.map(|count| count.0), Some(2));
}

async fn stops_statements_that_take_too_long(mut bench: Bench) {
    let slow = match bench.dialect {
        Dialect::MySql => "SELECT SLEEP(5)",
        Dialect::Postgres => "SELECT pg_sleep(5)::text",
        Dialect::Sqlite => {
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000000) SELECT COUNT(*) FROM n"
        }
    };
    bench.config.push_str("statement_timeout = \"100ms\"\n");
    let db = bench.datasource();
    let started = std::time::Instant::now();
    let result = db.query_one::<Count>(slow, ()).await;
    assert!(started.elapsed() < Duration::from_secs(3));
    // MariaDB ends SLEEP early without an error.
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    }
    assert_eq!(db.query_one::<Count>("SELECT 1", ()).await.expect("usable").expect("a row").0, 1);
}

async fn reads_what_the_database_calls_otherwise(bench: Bench) {
    let db = bench.datasource();
    if bench.dialect == Dialect::MySql {
        let create = "CREATE TABLE called (a FLOAT, b BIT(3), c YEAR, d MEDIUMINT, e ENUM('small', 'big'), \
                      f SET('x', 'y', 'z'), g TINYINT(1), h TEXT COLLATE utf8mb4_bin)";
        let insert = "INSERT INTO called VALUES (0.5, 5, 2026, -7, 'big', 'x,y', 5, 't')";
        bench.run(&["DROP TABLE IF EXISTS called", create, insert]).await;
    }
    struct Texts(Vec<String>);
    impl FromRow for Texts {
        fn from_row(row: &Row) -> Result<Self> {
            Ok(Self(row.values().iter().map(ToString::to_string).collect()))
        }
    }
    let (sql, expected): (&str, &[&str]) = match bench.dialect {
        Dialect::MySql => (
            "SELECT CAST(-5 AS SIGNED), CAST('-08:30:01.50' AS TIME(2)), CAST('a' AS CHAR), CAST('a' AS BINARY), \
             CAST(1.50 AS DECIMAL(5,2)), CAST(NULL AS CHAR), 2.5e0, called.* FROM called",
            &[
                "-5",
                "-08:30:01.5",
                "a",
                "1 bytes",
                "1.50",
                "NULL",
                "2.5",
                "0.5",
                "5",
                "2026",
                "-7",
                "big",
                "x,y",
                "5",
                "t",
            ],
        ),
        Dialect::Postgres => (
            "SELECT 1::int2, -70000::int4, 2.5::float4, '08:30:01'::time, 'x'::name, 'x'::\"char\", -12.50::numeric, \
             '0b1c2d3e-0000-4000-8000-00000000000f'::uuid, '{\"a\":1}'::json, 'x', NULL, 70000::oid, 'ab'::bpchar",
            &[
                "1",
                "-70000",
                "2.5",
                "08:30:01",
                "x",
                "x",
                "-12.50",
                "0b1c2d3e-0000-4000-8000-00000000000f",
                "{\"a\":1}",
                "x",
                "NULL",
                "70000",
                "ab",
            ],
        ),
        Dialect::Sqlite => ("SELECT 1, 'a', 2.5, x'0102', NULL", &["1", "a", "2.5", "2 bytes", "NULL"]),
    };
    let row: Option<Texts> = db.query_one(sql, ()).await.expect("a row");
    assert_eq!(row.expect("a row").0, expected);
    if bench.dialect == Dialect::Postgres {
        let error =
            db.query_one::<Texts>("SELECT ARRAY[1, 2] AS list", ()).await.map(|_| ()).expect_err("no type");
        assert_eq!(error.context("column"), Some("list"));
        assert!(error.remedy().is_some(), "{error:?}");
        let lookup = bench.lookup("SELECT 1 AS id, ARRAY[1] AS list WHERE 1 = :id", USER);
        assert_eq!(lookup.check().await.expect_err("no type").context("column"), Some("list"));
    }
}

const MYSQL: bool = cfg!(feature = "mysql");
const POSTGRES: bool = cfg!(feature = "postgres");

#[tokio::test]
async fn hides_the_password_when_the_server_is_away() {
    for url in ["mysql://me:hunter2@127.0.0.1:1/db", "postgres://me:hunter2@127.0.0.1:1/db"] {
        let dialect = if url.starts_with("mysql") { Dialect::MySql } else { Dialect::Postgres };
        let is_on = if url.starts_with("mysql") { MYSQL } else { POSTGRES };
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!("[datasource.db]\nurl = \"{url}\"\nconnect_timeout = \"2s\"\n");
        let bench = Bench { dialect, folder, config, resources: Resources::default() };
        let open = |opening: &mut Opening<'_>| super::config::datasource(opening, "db");
        let (datasource, problems) = bench.with_opening("", USER, open);
        let Some(datasource) = datasource else {
            assert!(!is_on);
            let text = format!("{problems:?}");
            assert!(text.contains(dialect.name()) && !text.contains("hunter2"), "{text}");
            continue;
        };
        let error = datasource.execute("SELECT 1", ()).await.expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        let shown = format!("{error:?} {datasource:?} {}", error.report());
        assert!(shown.contains("me:******@127.0.0.1:1") && !shown.contains("hunter2"), "{shown}");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn refuses_a_mode_that_the_struct_does_not_fit() {
    use super::Mode;
    const KEYLESS: RowSchema = RowSchema { columns: &[column("name", false)] };
    const ALL_KEY: RowSchema = RowSchema { columns: &[column("name", true)] };
    let bench = Bench::new(Dialect::Sqlite).expect("always there");
    for (mode, schema) in [(Mode::Upsert, KEYLESS), (Mode::Delete, KEYLESS), (Mode::Update, ALL_KEY)] {
        let section = format!(
            "datasource = \"db\"\ntable = \"t\"\nmode = \"{}\"",
            crate::config::SettingValue::show(&mode)
        );
        let (sink, problems) = bench.with_opening(&section, schema, |opening| connector().sink(opening));
        assert!(sink.is_none());
        assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["bad-mode"]);
    }
}
