//! Lookups on streams: declared by `#[async_lookup]`, or a user's own asynchronous function.

use std::any::TypeId;
use std::future::Future;
use std::sync::Arc;

use serde::Serialize;

use super::builder::{Builder, Check};
use super::declare::{Join, Key, KeyOf, LookupDeclaration, LookupRow};
use super::sinks::with_groups;
use super::sources::no_connector;
use super::stream::{BoxedStream, OpenStage, Parts, Stream};
use crate::api::{Binding, Downstream, Lookup, RowLookup, Subtask};
use crate::config::{Layer, Literal, Place, Setting, Settings};
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::operators::Step;
use crate::operators::lookup::{
    Cache, FunctionLookup, LookupConfig, LookupParts, LookupSettings, LookupSubtask, Table, TypedRows,
};
use crate::plan::{Graph, Role, StageInfo, Wiring};

const COMMON: &[Setting] =
    &with_groups::<{ LookupSettings::ALL.len() + 2 }>(LookupSettings::ALL, &["cache", "retry"]);

/// What to do where the strategy `default` finds no default row: of a struct, and of a user's own function.
const NO_DEFAULT_ARGUMENT: &str = "name a function in the attribute: `default = path::to::function`";
const NO_DEFAULT: &str =
    "choose `dirty`, `fail` or `skip`, or let the function itself return the row to join with";

/// What the stage of a lookup is made of, whatever answers it.
struct LookupPlan<T, K, V, U> {
    name: String,
    detail: String,
    place: Place,
    config: Option<LookupConfig>,
    lookup: Option<Arc<dyn Lookup<K, V>>>,
    default: Option<Arc<V>>,
    key: Box<dyn FnMut() -> Box<dyn FnMut(&T) -> K + Send> + Send>,
    join: Box<dyn FnMut() -> Box<dyn FnMut(T, &V) -> U + Send> + Send>,
}

impl<S: Step> Stream<S> {
    /// Joins each record with its dimension row: `key` says which row of the struct with `#[async_lookup]`, `join`
    /// puts the two together.
    ///
    /// The row type is that of `join`'s second argument. Records wait without holding up each other; see the page of
    /// `#[async_lookup]` for cache, batches, timeouts and strategies.
    ///
    /// ```
    /// # use flare_runtime::{error::Result, job::{BoxedStream, declare::LookupRow}, model::{FromRow, Row}};
    /// # #[derive(serde::Serialize)]
    /// # struct Order { id: u64, user_id: u64 }
    /// # #[derive(Clone)]
    /// # struct User { id: u64, name: String }
    /// # impl FromRow for User {
    /// #     fn from_row(row: &Row) -> Result<Self> { Ok(Self { id: row.get("id")?, name: row.get("name")? }) }
    /// # }
    /// # impl LookupRow for User {
    /// #     type Key = u64;
    /// #     fn key(&self) -> u64 { self.id }
    /// # }
    /// # fn describe(orders: BoxedStream<Order>) -> Result<()> {
    /// // `User` has `#[async_lookup(datasource = "users", sql = "SELECT id, name FROM users WHERE id = :id")]`.
    /// let join = |order: Order, user: &User| format!("{} by {}", order.id, user.name);
    /// let wide = orders.lookup(|order: &Order| order.user_id, join)?;
    /// wide.for_each(|line| println!("{line}"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// None today: wrong settings are collected and reported together before the job starts.
    #[track_caller]
    pub fn lookup<V, K, U, F, J, By>(self, key: F, join: J) -> Result<BoxedStream<U>>
    where
        S::Out: Serialize,
        V: LookupRow,
        K: KeyOf<V, V::Key>,
        U: Send + 'static,
        F: FnMut(&S::Out) -> K + Clone + Send + 'static,
        J: Join<S::Out, V, U, By> + Clone + Send + 'static,
    {
        let place = Place::here();
        let mut builder = self.job().lock();
        let declaration = builder.declared.lookup_of(TypeId::of::<V>());
        let declaration = declaration.ok_or_else(|| {
            let error = Error::new(ErrorKind::Config, "the lookup is not registered in this binary");
            let remedy = "write `#[async_lookup]` on the struct; it implements `LookupRow` and registers it";
            error.with("struct", std::any::type_name::<V>()).with_remedy(remedy)
        })?;
        let mock = builder.mocked_lookup::<V>(declaration.name);
        let opened = open(&mut builder, declaration);
        drop(builder);
        let Opened { config, rows } = opened;
        let detail = rows.as_ref().map(|rows| rows.describe()).unwrap_or_default();
        let typed = |rows| -> Arc<dyn Lookup<V::Key, V>> {
            Arc::new(TypedRows::new(rows, V::Key::parts, V::from_row, V::key))
        };
        let default = declaration.default.map(|erased| {
            let make = *erased().downcast::<fn() -> V>().expect("the macro emits the struct's own type");
            Arc::new(make())
        });
        let plan = LookupPlan {
            name: declaration.name.to_owned(),
            detail,
            place,
            config,
            lookup: mock.or_else(|| rows.map(typed)),
            default,
            key: Box::new(move || {
                let mut key = key.clone();
                Box::new(move |record: &S::Out| key(record).into_key())
            }),
            join: Box::new(move || {
                let mut join = join.clone();
                Box::new(move |record, row: &V| join.join(record, row))
            }),
        };
        Ok(self.start_lookup(plan))
    }

    /// As [`Stream::lookup`], but an asynchronous function of the user gives the row of a key, or `None`.
    ///
    /// `name` is the lookup's name: its settings are in the section `lookup.NAME`. An error other than Flare's own is
    /// taken for a passing one, and the function is called again as `retry` says.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// async fn price(item: u32) -> std::io::Result<Option<f64>> {
    ///     Ok(Some(f64::from(item) * 1.5)) // asks a service
    /// }
    /// let items = job.values("items", vec![1_u32, 2]);
    /// let priced = items.lookup_with("price", |item| *item, price, |item, price: &f64| (item, *price))?;
    /// priced.for_each(|(item, price)| println!("{item} costs {price}"));
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    ///
    /// # Errors
    /// None today: wrong settings are collected and reported together before the job starts.
    #[track_caller]
    pub fn lookup_with<K, V, U, F, A, X, R, J>(
        self,
        name: &str,
        key: F,
        fetch: R,
        join: J,
    ) -> Result<BoxedStream<U>>
    where
        S::Out: Serialize,
        K: Key,
        V: Send + Sync + 'static,
        U: Send + 'static,
        F: FnMut(&S::Out) -> K + Clone + Send + 'static,
        R: Fn(K) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Option<V>, X>> + Send + 'static,
        X: Into<BoxError> + 'static,
        J: FnMut(S::Out, &V) -> U + Clone + Send + 'static,
    {
        let place = Place::here();
        let path = format!("lookup.{name}");
        let mut builder = self.job().lock();
        let Builder { config, problems, .. } = &mut *builder;
        let mut section = config.section(&path, None);
        let config = LookupConfig::read(&mut section, Err(NO_DEFAULT), problems);
        section.finish(problems);
        let preload = config.as_ref().is_some_and(|config| config.lookup.preload);
        if preload {
            let message = "a lookup by a function cannot be preloaded";
            problems.add("unsupported", format!("{path}.preload"), message, "remove the setting");
        }
        drop(builder);
        let lookup: Arc<dyn Lookup<K, V>> = Arc::new(FunctionLookup::new(fetch));
        let plan = LookupPlan {
            name: name.to_owned(),
            detail: "own function".to_owned(),
            place,
            config,
            lookup: Some(lookup),
            default: None,
            key: Box::new(move || Box::new(key.clone())),
            join: Box::new(move || Box::new(join.clone())),
        };
        Ok(self.start_lookup(plan))
    }

    fn start_lookup<K: Key, V: Send + Sync + 'static, U: Send + 'static>(
        self,
        plan: LookupPlan<S::Out, K, V, U>,
    ) -> BoxedStream<U>
    where
        S::Out: Serialize,
    {
        let Parts { job, ports, behind_dirty } = self.into_ports(None);
        let LookupPlan { name, detail, place, config, lookup, default, mut key, mut join } = plan;
        let head = job.lock().named(&format!("lookup.{name}"), Role::Lookup, place);
        let mut shared: Option<(Cache<K, V>, Vec<Table<K, V>>)> = None;
        let build = move |wiring: &mut Wiring, downstream: Downstream<U>| -> Box<dyn Subtask> {
            let config = config.clone().expect("a job with problems is not started");
            let (cache, tables) = shared.get_or_insert_with(|| {
                let tables = if config.lookup.preload { wiring.parallelism } else { 0 };
                (Cache::new(config.cache.clone()), Table::shared(tables, config.lookup.refresh))
            });
            // The first subtask, which is built first, is the one that loads.
            let table = (!tables.is_empty()).then(|| tables.remove(0));
            Box::new(LookupSubtask::new(LookupParts {
                name: name.clone(),
                input: wiring.input::<S::Out>(),
                lookup: lookup.clone().expect("a job with problems is not started"),
                cache: cache.clone(),
                table,
                config,
                parallelism: wiring.parallelism,
                key: key(),
                join: join(),
                default: default.clone(),
                downstream,
            }))
        };
        let info = StageInfo { detail, behind_dirty, ..StageInfo::new(head) };
        let add = Box::new(Graph::add_stage::<S::Out>);
        BoxedStream::from_stage(&job, OpenStage { info, build: Box::new(build), reads: ports, add })
    }
}

struct Opened {
    config: Option<LookupConfig>,
    rows: Option<Arc<dyn RowLookup>>,
}

/// Reads the section and asks the connector; what is missing has its problem noted.
fn open(builder: &mut Builder, declaration: &'static LookupDeclaration) -> Opened {
    let path = format!("lookup.{}", declaration.name);
    let connector = declaration.connector.map(|connector| ("connector", Literal::Text(connector)));
    let arguments: Vec<_> = connector.into_iter().chain(declaration.arguments.iter().copied()).collect();
    let attribute = Some(Layer::attribute(declaration.place, &arguments));
    let default_row = declaration.default.map(|_| ()).ok_or(NO_DEFAULT_ARGUMENT);
    let is_tested = builder.is_tested();
    let Builder { config, problems, .. } = &mut *builder;
    let mut section = config.section(&path, attribute.clone());
    let chosen = section.choose_connector(COMMON);
    let config = LookupConfig::read(&mut section, default_row, problems);
    if is_tested {
        return Opened { config, rows: None };
    }
    let Some((connector, _)) = chosen else {
        let remedy = "write `datasource` and `sql` in the attribute, or a `connector` in the configuration";
        problems.add("missing-setting", format!("{path}.connector"), "nobody answers the lookup", remedy);
        return Opened { config, rows: None };
    };
    let registry = Arc::clone(&builder.registry);
    let Some(lookup) = registry.get(&connector).and_then(|known| known.lookup.as_ref()) else {
        no_connector(builder, &path, &connector, "lookup");
        return Opened { config, rows: None };
    };
    let binding = Binding { section: path.clone(), attribute, schema: declaration.schema };
    let rows = lookup.open(&mut builder.opening(&binding, COMMON));
    let rows: Option<Arc<dyn RowLookup>> = rows.map(Arc::from);
    builder.checks.extend(rows.clone().map(|rows| Check::Lookup(rows, path)));
    Opened { config, rows }
}
