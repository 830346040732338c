//! The one place where a setting is declared: name, type, range, default, doc, whether it may change live.

use std::fmt;

use super::{Config, Problems, Section};

/// A setting as declared; `--help`, the reference page, `config` and validation are made from it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its one name: attribute argument, configuration key, field, flag.
    pub name: &'static str,
    /// Its type in words.
    pub ty: &'static str,
    /// The values of its type that make sense.
    pub range: Range,
    /// Its default as written in configuration; `None` when it has none.
    pub default: Option<&'static str>,
    /// Whether it may change while the job runs.
    pub live: bool,
    /// What it does.
    pub doc: &'static str,
    /// Whether a text is a value of its type and in its range.
    pub accepts: fn(&str) -> bool,
}

impl Setting {
    /// Its type and its range: `number from 1`.
    pub fn kind(&self) -> String {
        format!("{}{}", self.ty, self.range)
    }
}

/// The values of a type that make sense for a setting; bounds are written as in configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// All of them.
    Any,
    /// Those greater than a bound.
    Above(&'static str),
    /// Those from a bound on.
    From(&'static str),
    /// Those from one bound to another, both included.
    Between(&'static str, &'static str),
}

/// With a space before it, so that it follows a type: ` from 1`.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Above(bound) => write!(f, " above {bound}"),
            Self::From(least) => write!(f, " from {least}"),
            Self::Between(least, most) => write!(f, " from {least} to {most}"),
        }
    }
}

/// A group of settings read together; implemented by `settings!`.
pub trait Settings: Sized {
    /// The settings in the order of declaration.
    const ALL: &'static [Setting];

    /// Reads all of them; what is missing or wrong is added to `problems`, and then there is no value.
    fn read(section: &mut Section<'_>, problems: &mut Problems) -> Option<Self>;

    /// As [`Settings::read`]; where something is wrong, the defaults, so that the rest can still be checked.
    ///
    /// # Panics
    /// When a setting is required.
    fn read_or_default(section: &mut Section<'_>, problems: &mut Problems) -> Self {
        let defaults = || Self::read(&mut Config::default().section("", None), &mut Problems::default());
        Self::read(section, problems).or_else(defaults).expect("no setting is required")
    }
}

/// Declares a struct of settings.
///
/// A field with a default is written `name: Type = "default"`; without one, `Option`s and tables are absent or
/// empty, and any other type is required. `[live]` before the name says that it may change while the job runs; behind
/// the type, `[from 1]`, `[from "1s" to "24h"]` or `[above "0s"]` says which values make sense.
macro_rules! settings {
    (
        $(#[doc = $about:expr])*
        pub struct $name:ident {
            $( $(#[doc = $doc:expr])* $([$live:ident])? $field:ident : $ty:ty $([$($range:tt)*])? $(= $default:literal)? ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        pub struct $name { $( $(#[doc = $doc])* pub $field: $ty ),* }

        impl $crate::config::Settings for $name {
            const ALL: &'static [$crate::config::Setting] = &[$(
                $crate::config::Setting {
                    name: stringify!($field),
                    ty: <$ty as $crate::config::SettingValue>::TYPE,
                    range: $crate::config::settings!(@range $($($range)*)?),
                    default: $crate::config::settings!(@default $($default)?),
                    live: $crate::config::settings!(@live $($live)?),
                    doc: concat!($($doc, "\n"),*),
                    accepts: |text| {
                        let range = $crate::config::settings!(@range $($($range)*)?);
                        $crate::config::accepts::<$ty>(text, range)
                    },
                }
            ),*];

            fn read(
                section: &mut $crate::config::Section<'_>,
                problems: &mut $crate::config::Problems,
            ) -> Option<Self> {
                let mut all = Self::ALL.iter();
                $(
                    let setting = all.next().expect("one declaration a field");
                    let $field = section.read::<$ty>(setting, problems);
                )*
                Some(Self { $($field: $field?),* })
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
    (@range) => { $crate::config::Range::Any };
    (@range above $bound:literal) => { $crate::config::Range::Above(concat!($bound)) };
    (@range from $least:literal) => { $crate::config::Range::From(concat!($least)) };
    (@range from $least:literal to $most:literal) => {
        $crate::config::Range::Between(concat!($least), concat!($most))
    };
    (@live) => { false };
    (@live live) => { true };
}
pub(crate) use settings;
