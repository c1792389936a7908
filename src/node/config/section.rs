//! How a section of the settings is written down: fields, defaults and their documentation in one
//! place, from which the type, the reader and the printed file all come.

use serde::Serialize;

/// Defines a section: a struct with a default for each field, its keys, its reader and its TOML form.
macro_rules! section {
    ($(#[doc = $about:literal])+ $name:ident in $section:literal {
        $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $default:expr;)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $name {
            /// The full name of each setting.
            const KEYS: &[&str] = &[$(concat!($section, ".", stringify!($field))),+];

            /// Reads each setting from the last source that has it.
            fn read(sources: &Sources) -> Result<Self, ConfigError> {
                let Self { $($field),+ } = Self::default();
                Ok(Self { $($field: sources.value(concat!($section, ".", stringify!($field)))?.unwrap_or($field),)+ })
            }

            /// Appends the section as documented TOML.
            fn print(&self, text: &mut String) {
                section::print_header(text, $section, &[$($about),+]);
                $(section::print_setting(text, stringify!($field), &self.$field, &[$($doc),+]);)+
            }
        }
    };
}

pub(super) use section;

pub(super) fn print_header(text: &mut String, name: &str, about: &[&str]) {
    text.push('\n');
    print_comment(text, about);
    text.extend(["[", name, "]\n"]);
}

/// Texts, numbers, truth values and lists of them are written the same in JSON and in TOML.
pub(super) fn print_setting(text: &mut String, name: &str, value: &impl Serialize, doc: &[&str]) {
    let value = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    print_comment(text, doc);
    text.extend([name, " = ", &value, "\n"]);
}

fn print_comment(text: &mut String, lines: &[&str]) {
    for line in lines {
        text.extend(["#", line, "\n"]);
    }
}
