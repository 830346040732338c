//! Types of settings: how each is read from configuration and shown again.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use bytesize::ByteSize;
use toml::Value;

use super::Range;
use crate::model::{Secret, format_duration, parse_duration};

/// A type that a setting can have.
pub trait SettingValue: Sized {
    /// The type as users read it: `text`, `number`, `duration`, …
    const TYPE: &'static str;

    /// The value when nothing is configured and the declaration has no default; `None` makes the setting required.
    fn absent() -> Option<Self> {
        None
    }

    /// Reads a configured value. Text is accepted for every type, since the environment and the command line have
    /// nothing else.
    ///
    /// # Errors
    /// A sentence: what is wrong, and what to write.
    fn parse(value: &Value) -> Result<Self, String>;

    /// The value as the reports show it.
    fn show(&self) -> String;

    /// How it compares with the bound of a range; `None` for a type whose values have no order.
    fn compare(&self, _bound: &Self) -> Option<Ordering> {
        None
    }
}

/// Whether `value` lies in `range`.
pub(super) fn is_within<T: SettingValue>(value: &T, range: Range) -> bool {
    let compared = |bound: &str| {
        let bound = T::parse(&Value::String(bound.to_owned()));
        value.compare(&bound.expect("a declared bound is a value of the setting's type"))
    };
    match range {
        Range::Any => true,
        Range::Above(bound) => compared(bound).is_some_and(Ordering::is_gt),
        Range::From(least) => compared(least).is_some_and(Ordering::is_ge),
        Range::Between(least, most) => {
            compared(least).is_some_and(Ordering::is_ge) && compared(most).is_some_and(Ordering::is_le)
        }
    }
}

/// Whether `text` is a value of `T` that lies in `range`.
pub(crate) fn accepts<T: SettingValue>(text: &str, range: Range) -> bool {
    T::parse(&Value::String(text.to_owned())).is_ok_and(|value| is_within(&value, range))
}

/// A setting with a fixed list of names; implemented by `choices!`.
pub trait Choice: Sized + Copy + PartialEq + 'static {
    /// Every name with its value.
    const NAMES: &'static [(&'static str, Self)];
}

impl<C: Choice> SettingValue for C {
    const TYPE: &'static str = "choice";

    fn parse(value: &Value) -> Result<Self, String> {
        let text = value.as_str().unwrap_or_default();
        let mut names = C::NAMES.iter();
        let found = names.find(|(name, _)| *name == text);
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = C::NAMES.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            format!("{} is none of {}", shown(value), names.join(", "))
        })
    }

    fn show(&self) -> String {
        let mut names = C::NAMES.iter();
        let found = names.find(|(_, choice)| choice == self);
        found.map_or_else(String::new, |(name, _)| (*name).to_owned())
    }
}

/// Declares an enum whose values are chosen by name in configuration.
macro_rules! choices {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant),* }

        impl $crate::config::Choice for $name {
            const NAMES: &'static [(&'static str, Self)] = &[$(($text, Self::$variant)),*];
        }
    };
}
#[cfg_attr(not(test), allow(unused_imports, reason = "used by connectors"))]
pub(crate) use choices;

fn shown(value: &Value) -> String {
    format!("`{}`", value.to_string().trim_matches('"'))
}

macro_rules! numbers {
    ($($int:ty),*) => { $(
        impl SettingValue for $int {
            const TYPE: &'static str = "number";

            fn parse(value: &Value) -> Result<Self, String> {
                let number = match value {
                    Value::Integer(int) => Self::try_from(*int).ok(),
                    Value::String(text) => text.replace('_', "").parse().ok(),
                    _ => None,
                };
                number.ok_or_else(|| format!(
                    "{} is no whole number from {} to {}", shown(value), Self::MIN, Self::MAX
                ))
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn compare(&self, bound: &Self) -> Option<Ordering> {
                self.partial_cmp(bound)
            }
        }
    )* };
}

numbers!(u16, u32, u64, usize, i64);

impl SettingValue for f64 {
    const TYPE: &'static str = "decimal";

    fn parse(value: &Value) -> Result<Self, String> {
        let number = match value {
            Value::Float(float) => Some(*float),
            Value::Integer(int) => Some(*int as Self),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| format!("{} is no number; write it as 0.05", shown(value)))
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn compare(&self, bound: &Self) -> Option<Ordering> {
        self.partial_cmp(bound)
    }
}

impl SettingValue for bool {
    const TYPE: &'static str = "true or false";

    fn parse(value: &Value) -> Result<Self, String> {
        let flag = match value {
            Value::Boolean(flag) => Some(*flag),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        flag.ok_or_else(|| format!("{} is neither true nor false", shown(value)))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl SettingValue for String {
    const TYPE: &'static str = "text";

    fn parse(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Ok(value.to_string()),
            _ => Err(format!("{} is no text", shown(value))),
        }
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl SettingValue for Secret {
    const TYPE: &'static str = "secret";

    /// Literal text, or `file:PATH`: the content of the file without its last line break.
    fn parse(value: &Value) -> Result<Self, String> {
        // The value itself must not stand in the message.
        let text = value.as_str().ok_or("a secret is a text")?;
        let Some(path) = text.strip_prefix("file:") else {
            return Ok(Self::new(text));
        };
        let content = std::fs::read_to_string(path);
        let content = content.map_err(|error| format!("the secret's file `{path}`: {error}"))?;
        Ok(Self::new(content.trim_end_matches(['\r', '\n'])))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl SettingValue for Duration {
    const TYPE: &'static str = "duration";

    fn parse(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => parse_duration(text),
            _ => parse_duration(&value.to_string()),
        }
    }

    fn show(&self) -> String {
        format_duration(*self)
    }

    fn compare(&self, bound: &Self) -> Option<Ordering> {
        self.partial_cmp(bound)
    }
}

impl SettingValue for ByteSize {
    const TYPE: &'static str = "size";

    fn parse(value: &Value) -> Result<Self, String> {
        let text = String::parse(value)?;
        text.parse().map_err(|_| format!("{} is no size; write it as \"64MiB\" or \"1GiB\"", shown(value)))
    }

    fn show(&self) -> String {
        self.to_string().replace(' ', "")
    }

    fn compare(&self, bound: &Self) -> Option<Ordering> {
        self.partial_cmp(bound)
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    const TYPE: &'static str = T::TYPE;

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn parse(value: &Value) -> Result<Self, String> {
        T::parse(value).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "-".to_owned(), T::show)
    }

    fn compare(&self, bound: &Self) -> Option<Ordering> {
        self.as_ref()?.compare(bound.as_ref()?)
    }
}

const NO_TABLE: &str = "this is no table; write it like { a = \"b\" }";

/// Client properties and the like: `properties.NAME = VALUE`; names may contain dots, values may contain `=`.
impl SettingValue for BTreeMap<String, String> {
    const TYPE: &'static str = "table";

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let parsed;
        let table = match value {
            Value::Table(table) => table,
            Value::String(text) => {
                let inline: Result<Value, _> = text.parse();
                // The values themselves must not stand in messages: there may be passwords among them.
                parsed = inline.map_err(|_| NO_TABLE)?;
                parsed.as_table().ok_or(NO_TABLE)?
            }
            _ => return Err(NO_TABLE.to_owned()),
        };
        let mut flat = Self::new();
        flatten("", table, &mut flat)?;
        Ok(flat)
    }

    /// Values of properties are not shown when their name says that they are secret, since clients take them so.
    fn show(&self) -> String {
        let shown = self.iter().map(|(name, value)| {
            let secret =
                ["password", "passphrase", "secret", "token", "key.pem", "jaas", "oauthbearer.config"];
            let hidden = secret.iter().any(|word| name.contains(word));
            format!("{name}={}", if hidden { "******" } else { value })
        });
        shown.collect::<Vec<_>>().join(" ")
    }
}

fn flatten(prefix: &str, table: &toml::Table, flat: &mut BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in table {
        let name = format!("{prefix}{name}");
        match value {
            Value::Table(inner) => flatten(&format!("{name}."), inner, flat)?,
            value => {
                let text = String::parse(value).map_err(|_| format!("the value of `{name}` is no text"))?;
                flat.insert(name, text);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_text_for_every_type() {
        let text = |text: &str| Value::String(text.into());
        assert_eq!(usize::parse(&text("1_000")), Ok(1000));
        assert_eq!(bool::parse(&text("true")), Ok(true));
        assert_eq!(Duration::parse(&text("250ms")), Ok(Duration::from_millis(250)));
        assert!(u16::parse(&text("70000")).expect_err("too large").contains("65535"));
    }

    #[test]
    fn shows_a_size_as_it_is_written() {
        for text in ["64MiB", "1GiB", "512B"] {
            let size = ByteSize::parse(&Value::String(text.into())).expect("a size");
            assert_eq!(ByteSize::parse(&Value::String(size.show())), Ok(size), "{}", size.show());
        }
        assert!(ByteSize::parse(&Value::String("much".into())).expect_err("no size").contains("64MiB"));
    }

    #[test]
    fn keeps_equal_signs_in_properties() {
        let value = Value::String("{ \"sasl.jaas.config\" = \"a=b c=d\" }".into());
        let map = BTreeMap::parse(&value).expect("a table");
        assert_eq!(map["sasl.jaas.config"], "a=b c=d");
        assert_eq!(map.show(), "sasl.jaas.config=******");
    }

    #[test]
    fn flattens_dotted_properties() {
        let table: toml::Table = "fetch.queue.backoff.ms = 5".parse().expect("toml");
        let map = BTreeMap::parse(&Value::Table(table)).expect("a table");
        assert_eq!(map["fetch.queue.backoff.ms"], "5");
    }

    #[test]
    fn keeps_properties_out_of_messages() {
        for text in ["{ \"sasl.password\" = \"hunter2\"", "\"hunter2\"", "{ p = [\"hunter2\"] }"] {
            let error = BTreeMap::<String, String>::parse(&Value::String(text.into())).expect_err("no table");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
