//! Makes one query for many keys of a query that was written for one.

use std::fmt::Write as _;

use super::dialect::Dialect;
use super::sql::{Kind, Token, tokens};
use crate::model::{Column, Value};

/// Where any of these stands, the rows of one key may depend on what else the query selects.
const CLAUSES: &[&str] =
    &["limit", "offset", "fetch", "group", "having", "union", "intersect", "except", "over", "window"];
/// The same for calls of these.
const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "total",
    "any_value",
    "group_concat",
    "string_agg",
    "array_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "json_arrayagg",
    "json_objectagg",
    "json_group_array",
    "json_group_object",
    "bool_and",
    "bool_or",
    "every",
    "bit_and",
    "bit_or",
    "bit_xor",
    "std",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "var_pop",
    "var_samp",
];
/// Words that begin what may follow the conditions.
const AFTER_WHERE: &[&str] = &["order", "for", "lock"];
/// Words that make an expression a condition of its own.
const CONDITIONS: &[&str] =
    &["and", "or", "xor", "not", "between", "like", "is", "in", "case", "exists", "where"];

/// A lookup's query with its key parameters.
#[derive(Debug)]
pub(super) struct KeyQuery {
    dialect: Dialect,
    written: Vec<Piece>,
    batch: Option<Batch>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    /// A part of the key, by its place in the key.
    Key(usize),
}

/// The query around its conditions on the key.
#[derive(Debug)]
struct Batch {
    before: String,
    conditions: Vec<Condition>,
    after: String,
}

/// `expression = :key::cast`.
#[derive(Clone, Debug)]
struct Condition {
    expression: String,
    key: usize,
    cast: String,
}

/// What is wrong with a query: a sentence, and what to do.
pub(super) type Trouble = (String, String);

impl KeyQuery {
    /// Reads the query `sql` for a key of these columns.
    pub(super) fn parse(sql: &str, dialect: Dialect, keys: &[&Column]) -> Result<Self, Vec<Trouble>> {
        let mut tokens = tokens(sql, dialect);
        while tokens.last().is_some_and(|last| last.kind == Kind::Space || last.is_symbol(";")) {
            tokens.pop();
        }
        let written = written(&tokens, dialect, keys)?;
        let batch = Batch::find(&tokens, keys);
        Ok(Self { dialect, written, batch })
    }

    /// Whether one query can ask for many keys.
    pub(super) fn is_batched(&self) -> bool {
        self.batch.is_some()
    }

    /// The query for one key.
    pub(super) fn one(&self, key: &[Value]) -> (String, Vec<Value>) {
        let mut sql = String::new();
        let mut params = Vec::new();
        for piece in &self.written {
            match piece {
                Piece::Text(text) => sql.push_str(text),
                Piece::Key(index) => {
                    params.push(key[*index].clone());
                    self.dialect.mark(&mut sql, params.len(), &key[*index]);
                }
            }
        }
        (sql, params)
    }

    /// One query for all of `keys`, which must not be empty; `None` where the query cannot be batched.
    pub(super) fn many(&self, keys: &[&[Value]]) -> Option<(String, Vec<Value>)> {
        let batch = self.batch.as_ref()?;
        let composite = batch.conditions.len() > 1;
        let mut params = Vec::with_capacity(keys.len() * batch.conditions.len());
        let mut sql = batch.before.clone();
        let expressions: Vec<&str> = batch.conditions.iter().map(|part| part.expression.as_str()).collect();
        let expressions = expressions.join(", ");
        let values = if composite && self.dialect == Dialect::Sqlite { "VALUES " } else { "" };
        let left = if composite { format!("({expressions})") } else { expressions };
        let _ = write!(sql, "{left} IN ({values}");
        for (index, key) in keys.iter().enumerate() {
            sql.push_str(if index == 0 { "" } else { ", " });
            sql.push_str(if composite { "(" } else { "" });
            for (position, condition) in batch.conditions.iter().enumerate() {
                sql.push_str(if position == 0 { "" } else { ", " });
                let value = &key[condition.key];
                params.push(value.clone());
                self.dialect.mark(&mut sql, params.len(), value);
                sql.push_str(&condition.cast);
            }
            sql.push_str(if composite { ")" } else { "" });
        }
        sql.push(')');
        sql.push_str(&batch.after);
        Some((sql, params))
    }

    /// The query for all keys; `None` where its condition on the key cannot be taken away.
    pub(super) fn all(&self) -> Option<String> {
        let batch = self.batch.as_ref()?;
        Some(format!("{}1 = 1{}", batch.before, batch.after))
    }
}

/// The query in pieces; all its parameters must be key columns, and every key column must be used.
fn written(tokens: &[Token<'_>], dialect: Dialect, keys: &[&Column]) -> Result<Vec<Piece>, Vec<Trouble>> {
    let names: Vec<String> = keys.iter().map(|key| format!(":{}", key.field)).collect();
    let names = names.join(", ");
    let mut pieces = Vec::new();
    let mut troubles = Vec::new();
    let mut used = vec![false; keys.len()];
    for token in tokens {
        match (token.kind, key_of(token, keys)) {
            (Kind::Parameter, Some(key)) => {
                used[key] = true;
                pieces.push(Piece::Key(key));
            }
            (Kind::Parameter, None) => {
                let message = format!("`{}` in the query is no key field", token.text);
                troubles.push((message, format!("key fields here: {names}")));
            }
            (Kind::Mark, _) if dialect != Dialect::Postgres => {
                let message = "the query has a placeholder `?`".to_owned();
                troubles.push((message, format!("name the key field instead: {names}")));
            }
            _ => pieces.push(Piece::Text(token.text.to_owned())),
        }
    }
    for (key, _) in keys.iter().zip(used).filter(|(_, used)| !used) {
        let message = format!("the query does not use the key field `{}`", key.field);
        troubles.push((message, format!("add a condition such as `{} = :{}`", key.name, key.field)));
    }
    if keys.is_empty() {
        troubles.push(("the row has no key".to_owned(), "mark the key fields with `#[key]`".to_owned()));
    }
    if troubles.is_empty() { Ok(pieces) } else { Err(troubles) }
}

fn key_of(token: &Token<'_>, keys: &[&Column]) -> Option<usize> {
    let name = token.text.strip_prefix(':').filter(|_| token.kind == Kind::Parameter)?;
    let by_field = keys.iter().position(|key| key.field == name);
    by_field.or_else(|| keys.iter().position(|key| key.name == name))
}

impl Batch {
    /// The conditions on the key: side by side, joined by AND, in the outermost WHERE, each key once.
    fn find(tokens: &[Token<'_>], keys: &[&Column]) -> Option<Self> {
        let code: Vec<usize> = (0..tokens.len()).filter(|index| tokens[*index].kind != Kind::Space).collect();
        let first = &tokens[*code.first()?];
        let alone = code.iter().any(|index| CLAUSES.iter().any(|word| tokens[*index].is(word)));
        let paired = code.windows(2).any(|pair| {
            let (this, next) = (&tokens[pair[0]], &tokens[pair[1]]);
            let aggregate = next.is_symbol("(") && AGGREGATES.iter().any(|word| this.is(word));
            aggregate || (this.is("distinct") && next.is("on"))
        });
        if !first.is("select") || alone || paired {
            return None;
        }
        let clause = where_clause(tokens, &code)?;
        let mut found = Vec::new();
        for part in conjuncts(tokens, clause)? {
            let with_key = part.iter().any(|index| tokens[*index].kind == Kind::Parameter);
            if with_key {
                found.push((part, condition(tokens, part, keys)?));
            }
        }
        let each_once = keys.len() == found.len()
            && (0..keys.len()).all(|key| found.iter().any(|(_, condition)| condition.key == key));
        let parameters = tokens.iter().filter(|token| token.kind == Kind::Parameter).count();
        if !each_once || parameters != keys.len() {
            return None;
        }
        // Neighbours: exactly one AND between one condition's end and the next one's beginning.
        let place = |index: &usize| code.iter().position(|at| at == index);
        for pair in found.windows(2) {
            if place(pair[0].0.last()?)? + 2 != place(pair[1].0.first()?)? {
                return None;
            }
        }
        let first = *found.first()?.0.first()?;
        let last = *found.last()?.0.last()?;
        Some(Self {
            before: join(&tokens[..first]),
            conditions: found.into_iter().map(|(_, condition)| condition).collect(),
            after: join(&tokens[last + 1..]),
        })
    }
}

fn join(tokens: &[Token<'_>]) -> String {
    tokens.iter().map(|token| token.text).collect()
}

/// How deep in parentheses each token of `code` is; `None` when they do not match.
fn depths(tokens: &[Token<'_>], code: &[usize]) -> Option<Vec<usize>> {
    let mut depth = 0_usize;
    let mut depths = Vec::with_capacity(code.len());
    for index in code {
        let token = &tokens[*index];
        if token.is_symbol(")") {
            depth = depth.checked_sub(1)?;
        }
        depths.push(depth);
        if token.is_symbol("(") {
            depth += 1;
        }
    }
    (depth == 0).then_some(depths)
}

/// The tokens of the outermost WHERE, without that word.
fn where_clause<'a>(tokens: &[Token<'_>], code: &'a [usize]) -> Option<&'a [usize]> {
    let depths = depths(tokens, code)?;
    let outer = |words: &[&str], from: usize| {
        (from..code.len()).find(|at| depths[*at] == 0 && words.iter().any(|word| tokens[code[*at]].is(word)))
    };
    let start = outer(&["where"], 0)? + 1;
    let end = outer(AFTER_WHERE, start).unwrap_or(code.len());
    Some(&code[start..end])
}

/// The parts of a clause between its outer ANDs; `None` when it has another outer connective.
fn conjuncts<'a>(tokens: &[Token<'_>], clause: &'a [usize]) -> Option<Vec<&'a [usize]>> {
    let depths = depths(tokens, clause)?;
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, index) in clause.iter().enumerate() {
        let token = &tokens[*index];
        let outer = depths[at] == 0;
        let or = ["or", "xor", "not", "case"].iter().any(|word| token.is(word));
        let bars = token.is_symbol("|") || token.is_symbol("&") || token.is_symbol("!");
        if outer && (or || bars || token.is_symbol(";")) {
            return None;
        }
        if outer && token.is("and") {
            parts.push(&clause[start..at]);
            start = at + 1;
        }
    }
    parts.push(&clause[start..]);
    Some(parts)
}

/// Reads `expression = :key`, `:key = expression` or `expression IN (:key)`, the key with or without a `::cast`.
fn condition(tokens: &[Token<'_>], part: &[usize], keys: &[&Column]) -> Option<Condition> {
    let symbol = |at: usize, text: &str| part.get(at).is_some_and(|index| tokens[*index].is_symbol(text));
    let parameter = part.iter().position(|index| tokens[*index].kind == Kind::Parameter)?;
    let key = key_of(&tokens[part[parameter]], keys)?;
    let (expression, cast) = if parameter == 0 {
        let equals = (1..part.len()).find(|at| symbol(*at, "="))?;
        (&part[equals + 1..], &part[1..equals])
    } else if symbol(parameter - 1, "=") {
        (&part[..parameter - 1], &part[parameter + 1..])
    } else {
        let is_in = parameter >= 3 && symbol(parameter - 1, "(") && tokens[part[parameter - 2]].is("in");
        if !is_in || !symbol(part.len() - 1, ")") {
            return None;
        }
        (&part[..parameter - 2], &part[parameter + 1..part.len() - 1])
    };
    let is_value = is_value(tokens, expression);
    let is_cast = cast.is_empty()
        || (tokens[cast[0]].is_symbol("::") && cast.len() > 1 && is_value_or_type(tokens, cast));
    if !is_value || !is_cast {
        return None;
    }
    let text = |range: &[usize]| match (range.first(), range.last()) {
        (Some(first), Some(last)) => join(&tokens[*first..=*last]),
        _ => String::new(),
    };
    Some(Condition { expression: text(expression), key, cast: text(cast) })
}

/// Whether the tokens are an expression without a condition in it at the outer level.
fn is_value(tokens: &[Token<'_>], part: &[usize]) -> bool {
    !part.is_empty() && is_value_or_type(tokens, part)
}

fn is_value_or_type(tokens: &[Token<'_>], part: &[usize]) -> bool {
    let Some(depths) = depths(tokens, part) else { return false };
    part.iter().zip(depths).all(|(index, depth)| {
        let token = &tokens[*index];
        let compares = ["=", "<", ">", "!", "~"].iter().any(|symbol| token.is_symbol(symbol));
        let word = CONDITIONS.iter().any(|word| token.is(word)) || token.is("select");
        depth > 0 && !token.is("select") || !(compares || word)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: Column = Column { field: "id", name: "id", key: true };
    const SHOP: Column = Column { field: "shopId", name: "shop_id", key: true };

    fn parse(sql: &str, dialect: Dialect, keys: &[&Column]) -> KeyQuery {
        KeyQuery::parse(sql, dialect, keys).expect("a query")
    }

    fn many(sql: &str, dialect: Dialect) -> Option<String> {
        let keys = [vec![Value::Int(1)], vec![Value::Int(2)]];
        let keys: Vec<&[Value]> = keys.iter().map(Vec::as_slice).collect();
        parse(sql, dialect, &[&ID]).many(&keys).map(|(sql, _)| sql)
    }

    #[test]
    fn asks_for_many_keys_at_once() {
        let sql = "SELECT id, name FROM users WHERE id = :id";
        let expected = "SELECT id, name FROM users WHERE id IN (?, ?)";
        assert_eq!(many(sql, Dialect::MySql).as_deref(), Some(expected));
        let expected = "SELECT id, name FROM users WHERE id IN ($1::int8, $2::int8)";
        assert_eq!(many(sql, Dialect::Postgres).as_deref(), Some(expected));
        let sql = "SELECT id FROM u WHERE u.a > 3 AND (b = 1 OR c = 2) AND u.\"id\" IN ( :id ) AND d = 4 ORDER BY d;";
        let expected =
            "SELECT id FROM u WHERE u.a > 3 AND (b = 1 OR c = 2) AND u.\"id\" IN (?, ?) AND d = 4 ORDER BY d";
        assert_eq!(many(sql, Dialect::Sqlite).as_deref(), Some(expected));
        let sql = "SELECT id FROM u WHERE :id::uuid = id -- the key\nFOR SHARE";
        let expected = "SELECT id FROM u WHERE id IN ($1::int8::uuid, $2::int8::uuid) -- the key\nFOR SHARE";
        assert_eq!(many(sql, Dialect::Postgres).as_deref(), Some(expected));
    }

    #[test]
    fn asks_for_many_composite_keys() {
        let sql = "SELECT * FROM p WHERE live AND shop_id = :shopId AND id = :id";
        let keys =
            [vec![Value::Int(1), Value::Text("a".into())], vec![Value::Int(2), Value::Text("b".into())]];
        let keys: Vec<&[Value]> = keys.iter().map(Vec::as_slice).collect();
        let query = parse(sql, Dialect::MySql, &[&ID, &SHOP]);
        let (text, params) = query.many(&keys).expect("batched");
        assert_eq!(text, "SELECT * FROM p WHERE live AND (shop_id, id) IN ((?, ?), (?, ?))");
        assert_eq!(params[..2], [Value::Text("a".into()), Value::Int(1)]);
        assert_eq!(query.all().as_deref(), Some("SELECT * FROM p WHERE live AND 1 = 1"));
        let (text, _) = parse(sql, Dialect::Sqlite, &[&ID, &SHOP]).many(&keys).expect("batched");
        assert_eq!(text, "SELECT * FROM p WHERE live AND (shop_id, id) IN (VALUES (?, ?), (?, ?))");
    }

    #[test]
    fn runs_other_shapes_as_written() {
        for sql in [
            "SELECT id FROM u WHERE id = :id LIMIT 1",
            "SELECT id, count(*) FROM u WHERE id = :id GROUP BY id",
            "SELECT max(x) AS id FROM u WHERE id = :id",
            "SELECT id FROM u WHERE id = :id UNION SELECT id FROM v WHERE id = 1",
            "SELECT DISTINCT ON (a) id FROM u WHERE id = :id",
            "SELECT id FROM u WHERE id = :id OR a = 1",
            "SELECT id FROM u WHERE NOT id = :id",
            "SELECT id FROM u WHERE id > :id",
            "SELECT id FROM u WHERE id <= :id",
            "SELECT id FROM u WHERE id = :id + 1",
            "SELECT id FROM u WHERE id IN (1, :id)",
            "SELECT id FROM u WHERE id = :id AND parent = :id",
            "SELECT id FROM u WHERE exists (SELECT 1 FROM v WHERE v.id = :id)",
            "SELECT id FROM u JOIN v ON v.id = :id",
            "SELECT id FROM u JOIN v ON v.id = :id WHERE u.a = 1",
            "SELECT id, row_number() OVER (ORDER BY x) FROM u WHERE id = :id",
            "WITH w AS (SELECT 1) SELECT id FROM u WHERE id = :id",
        ] {
            assert_eq!(many(sql, Dialect::Postgres), None, "{sql}");
            let (one, params) = parse(sql, Dialect::MySql, &[&ID]).one(&[Value::Int(7)]);
            assert_eq!(one, sql.replace(":id", "?"));
            assert!(!params.is_empty());
        }
        let apart = "SELECT 1 FROM p WHERE shop_id = :shop_id AND a = 1 AND id = :id";
        assert!(!parse(apart, Dialect::MySql, &[&ID, &SHOP]).is_batched());
    }

    #[test]
    fn tells_every_mistake_of_a_query() {
        let sql = "SELECT * FROM u WHERE user = :user AND a = ?";
        let troubles = KeyQuery::parse(sql, Dialect::MySql, &[&ID]).expect_err("three mistakes");
        assert_eq!(troubles.len(), 3, "{troubles:?}");
        assert!(troubles[0].1.contains(":id"), "{troubles:?}");
    }

    proptest! {
        #[test]
        fn takes_any_text_for_a_query(
            rest in "( |id|:id|=|AND|OR|\\(|\\)|IN|'|x|::int|--|\n|\"|,|SELECT|WHERE|;|\\$a\\$){0,24}",
        ) {
            let sql = format!("SELECT id FROM u WHERE {rest}");
            for dialect in [Dialect::MySql, Dialect::Postgres, Dialect::Sqlite] {
                let Ok(query) = KeyQuery::parse(&sql, dialect, &[&ID]) else { continue };
                let (one, params) = query.one(&[Value::Null]);
                prop_assert!(!params.is_empty());
                prop_assert!(one.starts_with("SELECT id FROM u WHERE"));
                if let Some((many, params)) = query.many(&[&[Value::Int(1)], &[Value::Int(2)]]) {
                    prop_assert_eq!(params.len(), 2);
                    prop_assert!(many.contains(" IN ("));
                    prop_assert!(query.all().is_some_and(|all| all.contains("1 = 1")));
                }
            }
        }

        #[test]
        fn leaves_quoted_text_of_a_query_alone(inner in "[a-z:?= ]{0,20}") {
            let sql = format!("SELECT id FROM u WHERE a = '{inner}' AND id = :id");
            let query = parse(&sql, Dialect::Postgres, &[&ID]);
            let (many, _) = query.many(&[&[Value::Int(1)]]).expect("batched");
            prop_assert_eq!(many, format!("SELECT id FROM u WHERE a = '{inner}' AND id IN ($1::int8)"));
        }
    }
}
