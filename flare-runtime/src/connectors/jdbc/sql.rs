//! Cuts SQL into tokens, so that parameters are found and quoted text is left alone.

use super::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Value;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// White space or a comment.
    Space,
    /// A keyword or a plain identifier.
    Word,
    /// A number.
    Number,
    /// A quoted text or identifier.
    Quoted,
    /// A named parameter, `:name`.
    Parameter,
    /// `?`.
    Mark,
    /// Anything else: one character, or one of `::`, `:=` and `??`.
    Symbol,
}

/// A piece of SQL as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// What it is.
    pub(super) kind: Kind,
    /// Its characters.
    pub(super) text: &'a str,
}

impl Token<'_> {
    /// Whether it is this keyword.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is this symbol.
    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }
}

/// All tokens; joined, they are `sql` again. Text that ends inside quotes or a comment is one last token.
pub(super) fn tokens(sql: &str, dialect: Dialect) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = sql;
    while !rest.is_empty() {
        let (kind, len) = next(rest, dialect);
        let (text, after) = rest.split_at(len);
        tokens.push(Token { kind, text });
        rest = after;
    }
    tokens
}

/// Rewrites the `?` of a statement for the dialect; `??` stands for a question mark of PostgreSQL's operators.
pub(super) fn positional(sql: &str, dialect: Dialect, params: &[Value]) -> Result<String> {
    let mut out = String::with_capacity(sql.len() + 16);
    let mut count = 0;
    for token in tokens(sql, dialect) {
        match token.kind {
            Kind::Mark => {
                let value = params.get(count).unwrap_or(&Value::Null);
                count += 1;
                dialect.mark(&mut out, count, value);
            }
            _ if token.is_symbol("??") => out.push('?'),
            _ => out.push_str(token.text),
        }
    }
    if count == params.len() {
        return Ok(out);
    }
    let message = "the statement has another number of placeholders `?` than there are parameters";
    Err(Error::new(ErrorKind::User, message)
        .with("placeholders", count)
        .with("parameters", params.len())
        .with("sql", sql))
}

fn next(rest: &str, dialect: Dialect) -> (Kind, usize) {
    let mut chars = rest.chars();
    let first = chars.next().unwrap_or_default();
    let second = chars.next();
    let one = first.len_utf8();
    match (first, second) {
        (space, _) if space.is_whitespace() => (Kind::Space, run(rest, char::is_whitespace)),
        ('-', Some('-')) if is_line_comment(rest, dialect) => (Kind::Space, line(rest)),
        ('#', _) if dialect == Dialect::MySql => (Kind::Space, line(rest)),
        ('/', Some('*')) => (Kind::Space, block(rest, dialect)),
        ('\'', _) => (Kind::Quoted, quoted(rest, '\'', dialect == Dialect::MySql)),
        ('"', _) => (Kind::Quoted, quoted(rest, '"', dialect == Dialect::MySql)),
        ('`', _) if dialect != Dialect::Postgres => (Kind::Quoted, quoted(rest, '`', false)),
        ('[', _) if dialect == Dialect::Sqlite => (Kind::Quoted, quoted(rest, ']', false)),
        ('e' | 'E', Some('\'')) if dialect == Dialect::Postgres => {
            (Kind::Quoted, 1 + quoted(&rest[1..], '\'', true))
        }
        ('$', _) if dialect == Dialect::Postgres => dollar(rest),
        (':', Some(':' | '=')) => (Kind::Symbol, 2),
        (':', Some(name)) if is_name_start(name) => (Kind::Parameter, 1 + run(&rest[1..], is_name)),
        ('?', Some('?')) => (Kind::Symbol, 2),
        ('?', _) => (Kind::Mark, 1),
        (digit, _) if digit.is_ascii_digit() => {
            (Kind::Number, run(rest, |char| is_name(char) || char == '.'))
        }
        (name, _) if is_name_start(name) => (Kind::Word, run(rest, |char| is_name(char) || char == '$')),
        _ => (Kind::Symbol, one),
    }
}

fn is_name_start(char: char) -> bool {
    char == '_' || char.is_alphabetic()
}

fn is_name(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

fn run(rest: &str, belongs: impl Fn(char) -> bool) -> usize {
    rest.find(|char| !belongs(char)).unwrap_or(rest.len())
}

/// MySQL reads `5--1` as a subtraction: its comments need a space behind the dashes.
fn is_line_comment(rest: &str, dialect: Dialect) -> bool {
    let third = rest.chars().nth(2);
    dialect != Dialect::MySql || third.is_none_or(char::is_whitespace)
}

fn line(rest: &str) -> usize {
    rest.find('\n').map_or(rest.len(), |end| end + 1)
}

/// A block comment; PostgreSQL's nest.
fn block(rest: &str, dialect: Dialect) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") && (depth == 0 || dialect == Dialect::Postgres) {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Quoted text from its opening quote to `close`, which is doubled, or follows a backslash, inside the text.
fn quoted(rest: &str, close: char, backslash: bool) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        if char == '\\' && backslash {
            chars.next();
        } else if char == close {
            match chars.peek() {
                Some((_, next)) if *next == close && close != ']' => {
                    chars.next();
                }
                _ => return at + close.len_utf8(),
            }
        }
    }
    rest.len()
}

/// PostgreSQL's `$tag$ … $tag$`, or a lone `$`.
fn dollar(rest: &str) -> (Kind, usize) {
    let tag = 1 + run(&rest[1..], is_name);
    let is_tag = rest[tag..].starts_with('$') && !rest[1..].starts_with(|char: char| char.is_ascii_digit());
    if !is_tag {
        return (Kind::Symbol, 1);
    }
    let (tag, body) = rest.split_at(tag + 1);
    let end = body.find(tag).map_or(rest.len(), |end| tag.len() + end + tag.len());
    (Kind::Quoted, end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parameters(sql: &str, dialect: Dialect) -> Vec<&str> {
        let all = tokens(sql, dialect).into_iter();
        all.filter(|token| token.kind == Kind::Parameter).map(|token| token.text).collect()
    }

    #[test]
    fn finds_parameters_outside_quotes_and_comments() {
        let sql = "SELECT ':a', \":b\" /* :c */ FROM t -- :d\nWHERE e = :e AND f::text = :f::text";
        for dialect in [Dialect::MySql, Dialect::Postgres, Dialect::Sqlite] {
            assert_eq!(parameters(sql, dialect), [":e", ":f"], "{dialect:?}");
        }
    }

    #[test]
    fn knows_the_quotes_of_each_dialect() {
        assert_eq!(parameters(r"SELECT 'it\':a' , :b # :c", Dialect::MySql), [":b"]);
        assert_eq!(parameters(r"SELECT 'it\', :b, ':c'", Dialect::Postgres), [":b"]);
        assert_eq!(parameters("SELECT $x$ :a $$ :b $x$, $1, :c", Dialect::Postgres), [":c"]);
        assert_eq!(parameters(r"SELECT E'\':a', :b /* /* */ :c */", Dialect::Postgres), [":b"]);
        assert_eq!(parameters("SELECT [:a], `:b`, 'it''s :c', :d", Dialect::Sqlite), [":d"]);
    }

    #[test]
    fn numbers_placeholders_with_their_types() {
        let params = [Value::Int(1), Value::Text("x".into()), Value::Null];
        let sql = "UPDATE t SET a = ?, b = '?' WHERE c = ?::uuid AND d ?? 'k' AND e = ?";
        let postgres = positional(sql, Dialect::Postgres, &params).expect("three");
        let expected = "UPDATE t SET a = $1::int8, b = '?' WHERE c = $2::text::uuid AND d ? 'k' AND e = $3";
        assert_eq!(postgres, expected);
        let error = positional(sql, Dialect::Sqlite, &params[..1]).expect_err("too few");
        assert_eq!(error.context("placeholders"), Some("3"));
    }

    fn dialects() -> impl Strategy<Value = Dialect> {
        prop_oneof![Just(Dialect::MySql), Just(Dialect::Postgres), Just(Dialect::Sqlite)]
    }

    proptest! {
        #[test]
        fn loses_nothing_of_any_text(sql in "[a-zA-Z0-9'\"`$:?#*/\\\\\\[\\]é \n-]{0,60}", dialect in dialects()) {
            let joined: String = tokens(&sql, dialect).iter().map(|token| token.text).collect();
            prop_assert_eq!(joined, sql);
        }

        #[test]
        fn leaves_quoted_text_alone(inner in "[a-z:?$ ]{0,20}", dialect in dialects()) {
            let sql = format!("SELECT '{inner}' FROM t WHERE a = ?");
            let rewritten = positional(&sql, dialect, &[Value::Int(1)]).expect("one");
            let quoted = format!("'{inner}'");
            prop_assert!(rewritten.contains(&quoted));
        }
    }
}
