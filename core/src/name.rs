//! Names and numbers that are parsed once at the edge and never checked again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The error for a name that is not a plain SQL identifier; holds the name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a usable name: write 1 to 63 lower-case letters, digits or `_`, starting with a letter")]
pub struct NameError(pub String);

fn check(name: &str) -> Result<(), NameError> {
    let plain = name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { Ok(()) } else { Err(NameError(name.to_owned())) }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses a name: 1 to 63 of `[a-z0-9_]`, starting with a letter.
            pub fn parse(name: &str) -> Result<Self, NameError> {
                check(name).map(|()| Self(name.to_owned()))
            }

            /// The name as SQL spells it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                Self::parse(&name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// The name of a stream: a table of records that the log holds.
    StreamName
);
name!(
    /// The name of a view.
    ViewName
);

name!(
    /// The name of a stream job, and of its schema in queries.
    JobName
);

/// The number of a published set of batch views; 0 is "nothing published yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_identifiers() {
        assert_eq!(ViewName::parse("by_day_2").unwrap().as_str(), "by_day_2");
        for bad in ["", "2day", "By_day", "by-day", "größe", &"a".repeat(64)] {
            assert_eq!(ViewName::parse(bad), Err(NameError(bad.to_owned())), "{bad}");
        }
    }
}
