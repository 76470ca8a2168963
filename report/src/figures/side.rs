//! The two architectures.

use serde::{Deserialize, Serialize};

/// One of the two architectures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// A batch and a speed layer.
    Lambda,
    /// A stream job alone, and all records in the log.
    Kappa,
}

impl Side {
    /// Both, in the order of the report.
    pub const ALL: [Self; 2] = [Self::Lambda, Self::Kappa];

    /// The name as it stands in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lambda => "Lambda",
            Self::Kappa => "Kappa",
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Lambda => Self::Kappa,
            Self::Kappa => Self::Lambda,
        }
    }
}

/// The same thing of each architecture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Both<T> {
    /// Of Lambda.
    pub lambda: T,
    /// Of Kappa.
    pub kappa: T,
}

impl<T> Both<T> {
    /// The one of `side`.
    pub fn of(&self, side: Side) -> &T {
        match side {
            Side::Lambda => &self.lambda,
            Side::Kappa => &self.kappa,
        }
    }

    /// `f` of each.
    pub fn map<'a, U>(&'a self, f: impl Fn(&'a T) -> U) -> Both<U> {
        Both { lambda: f(&self.lambda), kappa: f(&self.kappa) }
    }
}

impl<T: Clone> Both<T> {
    /// The same value for each.
    pub fn same(value: T) -> Self {
        Self { lambda: value.clone(), kappa: value }
    }
}
