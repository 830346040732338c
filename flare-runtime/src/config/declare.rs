//! The one place where a setting is declared: name, type, default, doc, whether it may change live.

use super::{Problems, Section};

/// A setting as declared; `--help`, the reference page, `config` and validation are made from it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its one name: attribute argument, configuration key, field, flag.
    pub name: &'static str,
    /// Its type in words.
    pub ty: &'static str,
    /// Its default as written in configuration; `None` when it has none.
    pub default: Option<&'static str>,
    /// Whether it may change while the job runs.
    pub live: bool,
    /// What it does.
    pub doc: &'static str,
}

/// A group of settings read together; implemented by `settings!`.
pub trait Settings: Sized {
    /// The settings in the order of declaration.
    const ALL: &'static [Setting];

    /// Reads all of them; what is missing or wrong is added to `problems`, and then there is no value.
    fn read(section: &mut Section<'_>, problems: &mut Problems) -> Option<Self>;
}

/// Declares a struct of settings.
///
/// A field with a default is written `name: Type = "default"`; without one, `Option`s and tables are absent or
/// empty, and any other type is required. `[live]` before the name says that it may change while the job runs.
macro_rules! settings {
    (
        $(#[doc = $about:expr])*
        pub struct $name:ident {
            $( $(#[doc = $doc:expr])* $([$live:ident])? $field:ident : $ty:ty $(= $default:literal)? ),* $(,)?
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
                    default: $crate::config::settings!(@default $($default)?),
                    live: $crate::config::settings!(@live $($live)?),
                    doc: concat!($($doc, "\n"),*),
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
    (@live) => { false };
    (@live live) => { true };
}
pub(crate) use settings;
