//! The layers that a process runs.

use dovetail_core::catalog::MemberLayer;

/// The layers of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// Ingestion and all three layers.
    All,
    /// One layer, in a process of its own.
    One(MemberLayer),
}

impl Roles {
    /// Whether the process runs `layer`.
    pub fn has(self, layer: MemberLayer) -> bool {
        self == Self::All || self == Self::One(layer)
    }

    /// The layer, when the process has one that others have to find.
    pub fn one(self) -> Option<MemberLayer> {
        match self {
            Self::All => None,
            Self::One(layer) => Some(layer),
        }
    }

    /// Whether the process decodes records as they come.
    pub fn reads(self) -> bool {
        self.has(MemberLayer::Batch) || self.has(MemberLayer::Speed)
    }
}
