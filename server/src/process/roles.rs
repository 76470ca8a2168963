//! The layers that a process runs.

use dovetail_core::catalog::MemberLayer;

/// The layers of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// Ingestion and all three layers.
    All,
    /// The same, and stream jobs beside them.
    Both,
    /// Ingestion, stream jobs and their answers: no landing, no batch layer, no generations.
    Kappa,
    /// One layer, in a process of its own.
    One(MemberLayer),
}

impl Roles {
    /// Whether the process runs `layer`.
    pub fn has(self, layer: MemberLayer) -> bool {
        match self {
            Self::All | Self::Both => true,
            Self::Kappa => matches!(layer, MemberLayer::Ingest | MemberLayer::Serve),
            Self::One(one) => one == layer,
        }
    }

    /// Whether the process runs stream jobs.
    pub fn has_jobs(self) -> bool {
        matches!(self, Self::Both | Self::Kappa)
    }

    /// The layer, when the process has one that others have to find.
    pub fn one(self) -> Option<MemberLayer> {
        match self {
            Self::All | Self::Both | Self::Kappa => None,
            Self::One(layer) => Some(layer),
        }
    }

    /// Whether the process decodes records for the batch or the speed layer as they come.
    pub fn reads(self) -> bool {
        self.has(MemberLayer::Batch) || self.has(MemberLayer::Speed)
    }
}
