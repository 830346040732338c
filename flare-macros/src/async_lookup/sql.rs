//! The parameters of a query.

/// The names written as `:name` outside of quotes and comments, each once, in order.
pub(super) fn parameters(sql: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\'' | '"' | '`' => past(after, &c.to_string()),
            '-' if after.starts_with('-') => past(after, "\n"),
            '/' if after.starts_with('*') => past(&after[1..], "*/"),
            // A cast, `id::bigint`.
            ':' if after.starts_with(':') => &after[1..],
            ':' if after.starts_with(is_start) => {
                let end = after.find(|c| !is_part(c)).unwrap_or(after.len());
                let name = &after[..end];
                if !found.iter().any(|known| known == name) {
                    found.push(name.to_owned());
                }
                &after[end..]
            }
            _ => after,
        };
    }
    found
}

/// What follows the next `end`.
fn past<'t>(text: &'t str, end: &str) -> &'t str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

fn is_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_part(c: char) -> bool {
    is_start(c) || c.is_numeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_parameter_once() {
        let sql = "SELECT * FROM users WHERE id = :id AND (region = :region OR :id = 0)";
        assert_eq!(parameters(sql), ["id", "region"]);
    }

    #[test]
    fn ignores_quotes_comments_and_casts() {
        let sql =
            "SELECT ':a', \":b\", `:c`, 'it''s :d' -- :e\n, f::text /* :g */ FROM t WHERE h = :h::bigint";
        assert_eq!(parameters(sql), ["h"]);
    }

    #[test]
    fn survives_what_is_never_closed() {
        assert_eq!(parameters("SELECT 'open :a"), [""; 0]);
        assert_eq!(parameters("SELECT :ä /* :b"), ["ä"]);
        assert_eq!(parameters("SELECT :"), [""; 0]);
    }
}
