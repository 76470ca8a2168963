//! Which layers a process runs.

use dovetail_core::catalog::MemberLayer;

/// The layers of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// Ingestion and all three layers.
    All,
    One(MemberLayer),
}

impl Roles {
    pub fn has(self, layer: MemberLayer) -> bool {
        self == Self::All || self == Self::One(layer)
    }

    /// The layer, when it is one that others have to find.
    pub fn one(self) -> Option<MemberLayer> {
        match self {
            Self::All => None,
            Self::One(layer) => Some(layer),
        }
    }

    /// Whether it decodes records as they come.
    pub fn reads(self) -> bool {
        self.has(MemberLayer::Batch) || self.has(MemberLayer::Speed)
    }
}
